//! Text in the two languages of the people who read it.

/// Language of what a user reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}

/// The same sentence in English and Chinese.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// English.
    pub en: String,
    /// Simplified Chinese.
    pub zh: String,
}

// === impl Lang ===

impl Lang {
    /// The language of a tag such as `zh`, `zh_CN.UTF-8`, `en`; `None` for any other.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let tag = tag.to_ascii_lowercase();
        match tag.split(['_', '-', '.']).next() {
            Some("zh") => Some(Self::Zh),
            Some("en" | "c" | "posix") => Some(Self::En),
            _ => None,
        }
    }

    /// The language asked for: a flag or configuration key wins, then the values of `LC_ALL`, `LC_MESSAGES`, `LANG` in that order, else English.
    pub fn choose<'a>(asked: Option<&str>, environment: impl IntoIterator<Item = &'a str>) -> Self {
        asked.and_then(Self::from_tag).or_else(|| environment.into_iter().find(|v| !v.is_empty()).and_then(Self::from_tag)).unwrap_or_default()
    }
}

// === impl Text ===

impl Text {
    /// Both sentences.
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: zh.into() }
    }

    /// A text that needs no translation (a name, another program's message).
    pub fn same(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { en: text.clone(), zh: text }
    }

    /// The sentence in `lang`.
    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Zh => &self.zh,
        }
    }
}
