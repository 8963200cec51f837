//! `collector spool` as an operator uses it, whatever is in the directory: messages in both languages, exit codes, and that looking changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::feed::{Feed, config, text};
use crate::server::Server;

/// Exit code and everything said.
fn spool(dir: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_collector"));
    let output = command.current_dir(dir).env_clear().arg("spool").args(words).output().unwrap();
    (output.status.code(), [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
}

#[track_caller]
fn says(dir: &Path, words: &[&str], code: i32, parts: &[&str]) {
    let (found, said) = spool(dir, words);
    assert!(found == Some(code) && parts.iter().all(|part| said.contains(part)), "{words:?}: {found:?}\n{said}");
}

/// All files with their times: what looking must not change.
fn files(dir: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path(), (meta.len(), meta.modified().unwrap()));
        }
    }
    found
}

#[test]
fn where_there_is_no_spool_nothing_is_made_and_nothing_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("foreign")).unwrap();
    std::fs::write(dir.path().join("foreign/letter.txt"), "dear diary").unwrap();
    for place in ["none", "foreign"] {
        says(dir.path(), &["ls", "--dir", place], 0, &["no spool"]);
        says(dir.path(), &["--dir", place, "purge", "--yes"], 0, &["no spool"]);
        says(dir.path(), &["ls", "--dir", place], 0, &[place]);
    }
    assert_eq!(files(dir.path()).len(), 1);
    says(dir.path(), &["ls"], 78, &["collector.yml"]);
    says(dir.path(), &["replay", "--dir", "foreign"], 78, &["collector.yml"]);
    says(dir.path(), &["replay", "--stream", "trade"], 2, &["--stream"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_spool_is_listed_sent_and_purged_also_torn_and_among_foreign_files() {
    let Some(mut server) = Server::start(true) else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("collector.yml"), text(dir.path(), &server.url(), "lang: zh")).unwrap();
    server.kill();
    let mut feed = Feed::start(&config(dir.path(), &server.url(), ""));
    feed.run(400, Duration::from_secs(1)).await;
    let last = feed.last.clone();
    feed.stop().await;
    let place = dir.path().join("spool").display().to_string();

    // Records of the books are cut short, as by a loss of power; a stranger's file lies among them.
    let books = dir.path().join("spool/orderbook");
    let newest = files(&books).into_keys().filter(|path| path.extension().is_some_and(|ending| ending == "seg")).max().unwrap();
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() - 10]).unwrap();
    std::fs::write(books.join("notes.txt"), "not ours").unwrap();
    let before = files(dir.path());
    let total = last.iter().sum::<u64>() - 1;
    says(dir.path(), &["ls", "--dir", &place, "--lang", "en"], 0, &["trade.binance.spot.A-USDT\t", &format!("{total} records of 4 subjects wait")]);
    says(dir.path(), &["ls"], 0, &[&format!("4 个主题共 {total} 条记录在等待")]);
    let trades = last[1] + last[3];
    says(dir.path(), &["ls", "--stream", "trade"], 0, &[&format!("2 个主题共 {trades} 条记录")]);
    assert_eq!(files(dir.path()), before, "looking changes nothing");

    // Not without --yes.
    says(dir.path(), &["purge", "--stream", "orderbook"], 1, &["--yes"]);
    says(dir.path(), &["purge", "--stream", "orderbook", "--yes", "--lang", "en"], 0, &[&format!("{} records removed", total - trades)]);
    says(dir.path(), &["ls", "--lang", "en"], 0, &[&format!("{trades} records of 2 subjects wait")]);
    assert!(books.join("notes.txt").exists(), "a stranger's file stays");

    // A server that is away is named, and what it did not take stays.
    says(dir.path(), &["replay", "--within", "1", "--lang", "en"], 1, &["NATS cannot be reached", "stay in the spool"]);
    says(dir.path(), &["replay", "--within", "1"], 1, &["仍保存在 spool 中"]);
    server.run();
    says(dir.path(), &["replay"], 0, &[&format!("{trades} 条记录：全部已发送并确认")]);
    says(dir.path(), &["ls", "--lang", "en"], 0, &["0 records of 0 subjects wait"]);
    says(dir.path(), &["replay", "--lang", "en"], 0, &["0 records"]);
    let stored = server.stored("TRADE").await;
    assert_eq!(stored.values().map(|sequences| sequences.len() as u64).sum::<u64>(), trades);

    // Damage within is told, and costs what it holds.
    server.kill();
    let mut feed = Feed::start(&config(dir.path(), &server.url(), ""));
    feed.run(400, Duration::from_millis(500)).await;
    feed.stop().await;
    let trade = dir.path().join("spool/trade");
    let newest = files(&trade).into_keys().filter(|path| path.extension().is_some_and(|ending| ending == "seg")).max().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&newest, bytes).unwrap();
    says(dir.path(), &["ls", "--lang", "en"], 1, &["trade: 1 pieces are damaged", "records of 4 subjects wait"]);
}
