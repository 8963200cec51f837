//! Memory of a whole process is looked at in a program of its own.

// Always true here; it tells clippy that helper functions are test code too.
#![cfg(test)]

/// Resident bytes of this process.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

/// Bytes of a page's body as it comes: in pieces, and of unknown length.
fn body(bytes: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < bytes {
        body.extend_from_slice(&[7; 16 << 10]);
    }
    body
}

#[test]
fn a_spike_is_given_back() {
    watchdog::memory::keep_little();
    drop(body(80 << 10));
    let before = resident();
    for _ in 0..5 {
        let bodies: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| body(10 << 20))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(resident() > before + (40 << 20), "the spike is real");
        // Something small that lives on lies behind it.
        std::hint::black_box(vec![1_u8; 1_000].leak());
        drop(bodies);
    }
    let kept = resident().saturating_sub(before);
    assert!(kept < 4 << 20, "{kept} bytes are kept");
}
