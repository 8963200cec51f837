//! Rules that share name and labels: promtool's lint `duplicate-rules`.

use std::collections::BTreeMap;

use diagnostics::{Diagnostic, Text};

use crate::model::RuleSet;
use crate::record::RuleKey;

/// One warning for each rule that another with the same name and labels precedes.
pub(super) fn find(rules: &RuleSet) -> Vec<Diagnostic> {
    let mut first: BTreeMap<RuleKey, String> = BTreeMap::new();
    let mut found = Vec::new();
    for (group, rule) in rules.groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule))) {
        let here = format!("{}:{}", group.file, rule.place().line);
        if let Some(before) = first.get(&rule.key(0)) {
            let message = Text::new(
                format!("`{}` has the same name and labels as the rule at {before}", rule.name()),
                format!("`{}` 与 {before} 处的规则名称和标签相同", rule.name()),
            );
            found.push(Diagnostic::warning("W111", message).in_file(&*group.file).at(rule.place()));
        } else {
            first.insert(rule.key(0), here);
        }
    }
    found
}
