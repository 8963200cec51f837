//! Labels and annotations of an alert as templates: what cannot be parsed is an error, what will fail with any alert is warned of.

use std::collections::BTreeMap;

use diagnostics::{Diagnostic, Text, closest};
use gotemplate::{Error, Unknown};

use super::{Lints, Reader};
use crate::document::Written;
use crate::model::Field;
use crate::render::{FIELDS, NO_FIELD, VARIABLES};

// === impl Reader ===

impl Reader<'_> {
    /// The texts as templates; `None` after saying which are none.
    pub(super) fn templates(&mut self, rule: &str, texts: BTreeMap<String, Written>) -> Option<BTreeMap<String, Field>> {
        let mut fields = BTreeMap::new();
        let count = texts.len();
        for (name, text) in texts {
            match Field::new(rule, &text.text, self.functions) {
                Ok(field) => {
                    if let Some(error) = field.trial(rule).filter(|_| self.options.lints == Lints::All) {
                        let message = Text::new(
                            format!("the template of `{name}` will fail with any alert: {}", error.message),
                            format!("`{name}` 的模板对任何告警都会失败：{}", error.zh()),
                        );
                        self.say_of_template(Diagnostic::warning("W122", message), &error, &text);
                    }
                    fields.insert(name, field);
                }
                Err(error) => {
                    let message = Text::new(format!("the template of `{name}`: {}", error.message), format!("`{name}` 的模板：{}", error.zh()));
                    self.say_of_template(Diagnostic::error("E116", message), &error, &text);
                }
            }
        }
        (fields.len() == count).then_some(fields)
    }

    fn say_of_template(&mut self, mut found: Diagnostic, error: &Error, text: &Written) {
        let (written, near) = match (&error.unknown, error.message.strip_prefix(NO_FIELD).and_then(|rest| rest.split(' ').next())) {
            (Some(Unknown::Function(name)), _) => (&**name, closest(name, self.functions.names()).map(str::to_owned)),
            (Some(Unknown::Variable(name)), _) => (&**name, closest(name.trim_start_matches('$'), VARIABLES).map(|near| format!("${near}"))),
            (None, Some(field)) => (field, closest(field, FIELDS).map(|near| format!(".{near}"))),
            (None, None) => (".", None),
        };
        found.hint = near.map(|near| Text::new(format!("did you mean `{near}`?"), format!("是否想写 `{near}`？")));
        let place = text.inside(self.document.source, error.offset, written.chars().count());
        self.document.say(found, place);
    }
}
