// Replaces the page's content every two seconds; says so when the watchdog no longer answers.
(() => {
  const refresh = async () => {
    const stale = document.getElementById("stale");
    try {
      const reply = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(1900) });
      if (!reply.ok) throw new Error(reply.status);
      const next = new DOMParser().parseFromString(await reply.text(), "text/html");
      document.getElementById("main").replaceWith(next.getElementById("main"));
      stale.style.display = "none";
    } catch {
      stale.style.display = "block";
    }
  };
  setInterval(refresh, 2000);
})();
