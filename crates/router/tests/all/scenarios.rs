//! Timing, as scripts: `scenarios/*.txt` is a configuration, a line of dashes, and lines of `TIME ACTION`; every message that arrives must be
//! told by a line `TIME sent …`, in order, and nothing else may arrive. A new case is a new file.
//!
//! Actions: `fire LABELS`, `end LABELS`, `vanish LABELS` (posted no more), `silence FOR MATCHERS`, `receiver NAME up|down|refuses|throttles FOR`,
//! `kill`, `clock SHIFT` (the wall clock steps), `reload` (the same configuration anew).
#![expect(clippy::disallowed_methods, reason = "tests read their cases")]

use std::path::PathBuf;

use crate::simulation::{Mood, World};
use router::matcher;
use router::silence::PostedSilence;
use router::time::parse_duration;

fn ms(text: &str) -> i64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text.trim_start_matches('+')), |digits| (-1, digits));
    sign * i64::try_from(parse_duration(digits).unwrap_or_else(|| panic!("{text} is not a duration")).as_millis()).unwrap()
}

fn act(world: &mut World, action: &str, config: &str) {
    let (verb, rest) = action.split_once(' ').unwrap_or((action, ""));
    let (first, more) = rest.split_once(' ').unwrap_or((rest, ""));
    match verb {
        "fire" => world.fire(rest),
        "end" => world.end(rest),
        "vanish" => world.vanish(rest),
        "kill" => world.kill(rest == "compacted"),
        "reload" => world.reload(config),
        "clock" => world.step_clock(ms(rest)),
        "silence" => {
            let matchers = matcher::parse(more).unwrap().matchers;
            let (starts_at, ends_at) = (world.now.wall_ms, world.now.wall_ms + ms(first));
            world.router.set_silence(world.now, PostedSilence { matchers, starts_at, ends_at, ..PostedSilence::default() }).unwrap();
            world.settle();
        }
        "receiver" => {
            let mood = match more.split_once(' ').unwrap_or((more, "")) {
                ("up", _) => Mood::Up,
                ("down", _) => Mood::Down,
                ("refuses", _) => Mood::Refuses,
                ("throttles", after) => Mood::Throttles(parse_duration(after).unwrap()),
                other => panic!("unknown mood {other:?}"),
            };
            world.moods.insert(first.to_owned(), mood);
        }
        other => panic!("unknown action {other}"),
    }
}

fn run(name: &str, text: &str) {
    let (config, script) = text.split_once("\n---\n").unwrap_or_else(|| panic!("{name}: no line of dashes"));
    let mut world = World::new(config);
    let mut expected = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (at, action) = line.split_once(' ').unwrap_or((line, ""));
        let action = action.trim();
        world.run_to(ms(at));
        match action.strip_prefix("sent ") {
            Some(words) => expected.push((ms(at), words.trim().to_owned())),
            None if action == "done" => {}
            None => act(&mut world, action, config),
        }
    }
    let show = |list: &[(i64, String)]| list.iter().map(|(at, words)| format!("{:>9} {words}", *at)).collect::<Vec<_>>().join("\n");
    assert_eq!(show(&world.arrived), show(&expected), "{name}\ntried:\n{}", show(&world.tried));
}

#[test]
fn every_script_is_kept() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 15, "{files:?}");
    for path in files {
        run(&path.file_name().unwrap().to_string_lossy(), &std::fs::read_to_string(&path).unwrap());
    }
}
