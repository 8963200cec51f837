//! Faults put there on purpose: a hunt that cannot find them finds nothing.
use fuzz::{Bound, Plan, Target, Trouble, shape};

use crate::{GAUGE, seeds};

const PLAN: Plan = Plan { runs: 200_000, length: None, seed: 1, trace: None };

fn found(run: &dyn Fn(&[u8]) -> u64) -> fuzz::Finding {
    let target = Target {
        name: "planted",
        seeds: seeds(&["key=value\nother=1"]),
        words: &["=", "\n", "{{", "}}"],
        memory: Bound { base: 4_096, each: 16 },
        run,
    };
    *target.hunt(&PLAN, GAUGE).unwrap_err()
}

/// Reads `key=value` lines; a value in braces is cut out by positions that need not be in order.
fn careless(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let braced = pairs.filter_map(|(_, value)| Some((value, value.find("{{")?, value.find("}}")?)));
    shape("", &[braced.map(|(value, open, close)| value[open + 2..close].len()).sum()])
}

#[test]
fn a_panic_is_found_and_its_input_made_small() {
    let finding = found(&careless);
    assert!(
        matches!(&finding.trouble, Trouble::Panic(text) if text.contains("begin") || text.contains("start") || text.contains("slice")),
        "{finding}"
    );
    let text = String::from_utf8_lossy(&finding.input);
    assert!(text.len() <= 6 && text.contains("{{") && text.contains("}}"), "{finding}");
    assert!(finding.to_string().contains("TIDEMARK_FUZZ_SEED=1"));
}

#[test]
fn memory_over_its_bound_is_found() {
    // The length that stands in the input is believed.
    let finding = found(&|input| {
        let digits: String =
            input.iter().skip_while(|byte| !byte.is_ascii_digit()).take_while(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect();
        let believed = Vec::<u8>::with_capacity(digits.parse().unwrap_or(0_usize).min(1 << 20));
        shape("", &[believed.capacity()])
    });
    assert!(matches!(finding.trouble, Trouble::Memory { held, bound } if held > bound), "{finding}");
}

#[test]
fn a_broken_promise_is_found() {
    // Lines that end with a carriage return are put together again without it.
    let finding = found(&|input| {
        let text = String::from_utf8_lossy(input);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.join("\n"), text.trim_end_matches('\n'), "a promise");
        shape("", &[lines.len()])
    });
    assert!(matches!(&finding.trouble, Trouble::Panic(text) if text.contains("a promise")), "{finding}");
    assert!(finding.input.len() <= 2, "{finding}");
}
