//! Blocks: what goes in comes out; damage is found, set aside and costs only what it hit; a failing or killed write leaves what was there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faulty;

use std::collections::BTreeMap;
use std::path::Path;

use faulty::{Faults, FaultyDisk};
use proptest::prelude::*;
use segments::{BlockDir, Span, SystemDisk, Trouble};

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

fn open(dir: &Path) -> (BlockDir, Vec<Trouble>) {
    let (blocks, recovery) = BlockDir::open(Box::new(SystemDisk), dir).unwrap();
    (blocks, recovery.troubles)
}

fn add(blocks: &mut BlockDir, tag: u64, entries: &[(&str, i64, &str)]) -> std::io::Result<bool> {
    blocks.add(tag, entries.iter().map(|(key, at, body)| (key.as_bytes(), Span { from: *at, to: at + 1 }, body.as_bytes().to_vec())))
}

/// Bodies by key, joined over all blocks in order.
fn contents(blocks: &BlockDir) -> Contents {
    let mut all = Contents::new();
    for block in blocks.blocks() {
        let index = block.index().unwrap();
        for entry in index.entries() {
            all.entry(entry.key.to_vec()).or_default().extend(index.body(&entry).unwrap());
        }
    }
    all
}

fn files(dir: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.filter(|entry| entry.file_name().to_str().unwrap().contains(ending)).map(|entry| entry.path()).collect()
}

#[test]
fn blocks_are_read_back_joined_and_removed_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let (mut blocks, _) = open(dir.path());
    assert!(!add(&mut blocks, 1, &[]).unwrap(), "nothing to write: no file");
    add(&mut blocks, 1, &[("a", 10, "1"), ("b", 12, "2")]).unwrap();
    add(&mut blocks, 2, &[("b", 20, "3")]).unwrap();
    add(&mut blocks, 3, &[("a", 30, "4"), ("c", 30, "5")]).unwrap();
    let before = contents(&blocks);
    assert!(blocks.join(1, 2).unwrap());
    assert_eq!(contents(&blocks), before);
    let metas: Vec<_> = blocks.blocks().iter().map(|block| (block.meta().number, block.meta().first, block.meta().tag, block.meta().span)).collect();
    assert_eq!(metas, [(2, 1, 2, Span { from: 10, to: 21 }), (3, 3, 3, Span { from: 30, to: 31 })]);
    drop(blocks);
    let (mut blocks, troubles) = open(dir.path());
    assert!(troubles.is_empty());
    assert_eq!(contents(&blocks), before);
    blocks.remove_oldest().unwrap();
    assert_eq!((blocks.blocks().len(), files(dir.path(), ".blk").len()), (1, 1));
    add(&mut blocks, 4, &[("d", 40, "6")]).unwrap();
    assert_eq!(blocks.blocks()[1].meta().number, 4, "numbers go on");
}

#[test]
fn a_join_that_was_interrupted_before_its_sources_went_counts_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (mut blocks, _) = open(dir.path());
    add(&mut blocks, 1, &[("a", 10, "1")]).unwrap();
    add(&mut blocks, 2, &[("a", 20, "2")]).unwrap();
    let first = std::fs::read(blocks.blocks()[0].path()).unwrap();
    let path = blocks.blocks()[0].path().to_owned();
    blocks.join(1, 2).unwrap();
    std::fs::write(&path, first).unwrap();
    let (blocks, _) = open(dir.path());
    assert_eq!(contents(&blocks)[b"a".as_slice()], b"12");
    assert!(!path.exists());
}

#[test]
fn every_flipped_byte_is_found_and_costs_only_what_it_hit() {
    let dir = tempfile::tempdir().unwrap();
    let (mut blocks, _) = open(dir.path());
    add(&mut blocks, 9, &[("a", 10, "one"), ("b", 12, "two"), ("c", 14, "three")]).unwrap();
    let path = blocks.blocks()[0].path().to_owned();
    let sound = std::fs::read(&path).unwrap();
    drop(blocks);
    for at in 16..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        let (mut blocks, mut troubles) = open(dir.path());
        if troubles.is_empty() {
            assert!(blocks.blocks()[0].verify().is_err(), "byte {at} was not found");
            troubles.extend(blocks.repair(1));
            assert!(blocks.repair(1).is_none(), "a sound block is left alone");
        }
        assert!(matches!(troubles.as_slice(), [Trouble::Quarantined { kept: 2..=3, .. }]), "byte {at}: {troubles:?}");
        assert!(contents(&blocks).len() >= 2 && blocks.blocks()[0].verify().is_ok(), "byte {at}");
        drop(blocks);
        assert!(open(dir.path()).1.is_empty(), "byte {at}: what was kept is sound");
    }
    assert!(files(dir.path(), ".corrupt-").len() <= 4, "what was set aside is bounded");
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let (mut blocks, _) = BlockDir::open(Box::new(disk.clone()), dir.path()).unwrap();
    add(&mut blocks, 1, &[("a", 10, "1")]).unwrap();
    add(&mut blocks, 2, &[("a", 20, "2")]).unwrap();
    let before = contents(&blocks);
    for room in 0..120 {
        disk.set(Faults { room: Some(room), ..Faults::default() });
        assert!(add(&mut blocks, 3, &[("a", 30, "3")]).is_err(), "{room}");
        disk.set(Faults { room: Some(room), ..Faults::default() });
        assert!(blocks.join(1, 2).is_err(), "{room}");
        assert_eq!(contents(&blocks), before);
    }
    disk.set(Faults { sync: true, ..Faults::default() });
    assert!(add(&mut blocks, 3, &[("a", 30, "3")]).is_err());
    disk.set(Faults::default());
    assert!(files(dir.path(), ".tmp").is_empty());
    assert!(add(&mut blocks, 3, &[("a", 30, "3")]).unwrap());
    assert_eq!(contents(&blocks)[b"a".as_slice()], b"123");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_goes_in_comes_out(steps in prop::collection::vec((prop::collection::btree_map(0..6_u8, prop::collection::vec(any::<u8>(), 0..40), 0..5), 0..6_u8), 1..12)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut blocks, _) = open(dir.path());
        let mut model = Contents::new();
        for (entries, action) in steps {
            let keys: Vec<[u8; 1]> = entries.keys().map(|key| [*key]).collect();
            let span = Span { from: 0, to: 1 };
            blocks.add(0, keys.iter().zip(entries.values()).map(|(key, body)| (key.as_slice(), span, body.clone()))).unwrap();
            for (key, body) in entries {
                model.entry(vec![key]).or_default().extend(body);
            }
            if action == 0 {
                blocks = open(dir.path()).0;
            } else if action == 1 && blocks.blocks().len() > 1 {
                blocks.join(blocks.blocks()[0].meta().number, blocks.blocks()[1].meta().number).unwrap();
            }
            prop_assert_eq!(&contents(&blocks), &model);
        }
    }
}
