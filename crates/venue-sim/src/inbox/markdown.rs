//! The markdown a DingTalk message may hold, as HTML: headings, quotes, lists, bold, italic, links, images, breaks. Everything else is text and is escaped.

/// Renders a message's text.
pub(super) fn to_html(text: &str) -> String {
    let mut html = String::new();
    let mut block = Block::None;
    for line in text.lines() {
        let (next, content) = classify(line);
        if next != block || matches!(next, Block::None | Block::Heading(_)) {
            html.push_str(block.close());
            html.push_str(next.open());
        } else if block == Block::Paragraph || block == Block::Quote {
            html.push_str("<br>");
        }
        match next {
            Block::None => {}
            Block::Heading(level) => html.push_str(&element(&format!("h{level}"), content)),
            Block::Bullets | Block::Numbers => html.push_str(&element("li", content)),
            Block::Paragraph | Block::Quote => html.push_str(&inline(content)),
        }
        block = next;
    }
    html.push_str(block.close());
    html
}

/// Escapes text for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    Heading(usize),
    Quote,
    Bullets,
    Numbers,
    Paragraph,
}

// === impl Block ===

impl Block {
    fn open(self) -> &'static str {
        match self {
            Self::None | Self::Heading(_) => "",
            Self::Quote => "<blockquote>",
            Self::Bullets => "<ul>",
            Self::Numbers => "<ol>",
            Self::Paragraph => "<p>",
        }
    }

    fn close(self) -> &'static str {
        match self {
            Self::None | Self::Heading(_) => "",
            Self::Quote => "</blockquote>",
            Self::Bullets => "</ul>",
            Self::Numbers => "</ol>",
            Self::Paragraph => "</p>",
        }
    }
}

fn element(name: &str, content: &str) -> String {
    format!("<{name}>{}</{name}>", inline(content))
}

fn classify(line: &str) -> (Block, &str) {
    let trimmed = line.trim();
    let hashes = trimmed.bytes().take_while(|&b| b == b'#').count();
    if let (1..=6, Some(rest)) = (hashes, trimmed.get(hashes..).and_then(|rest| rest.strip_prefix(' '))) {
        return (Block::Heading(hashes), rest);
    }
    if let Some(rest) = trimmed.strip_prefix('>') {
        return (Block::Quote, rest.trim_start());
    }
    if let Some(rest) = trimmed.strip_prefix("- ").or_else(|| trimmed.strip_prefix("* ")).or_else(|| trimmed.strip_prefix("+ ")) {
        return (Block::Bullets, rest);
    }
    if let Some((number, rest)) = trimmed.split_once(". ")
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        return (Block::Numbers, rest);
    }
    if trimmed.is_empty() { (Block::None, "") } else { (Block::Paragraph, trimmed) }
}

/// Marks within a line. A mark that is not closed is text.
fn inline(text: &str) -> String {
    let mut html = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (piece, after) = marked(rest).unwrap_or_else(|| {
            let (one, after) = rest.split_at(first.len_utf8());
            (escape(one), after)
        });
        html.push_str(&piece);
        rest = after;
    }
    html
}

fn marked(text: &str) -> Option<(String, &str)> {
    if let Some(tail) = text.strip_prefix('\\') {
        // A backslash makes the next sign text.
        let next = tail.chars().next().filter(char::is_ascii_punctuation)?;
        let (one, after) = tail.split_at(next.len_utf8());
        return Some((escape(one), after));
    }
    if let Some(tail) = text.strip_prefix("**") {
        let (inner, after) = tail.split_once("**").filter(|(inner, _)| !inner.is_empty())?;
        return Some((format!("<b>{}</b>", inline(inner)), after));
    }
    if let Some(tail) = text.strip_prefix('*') {
        let (inner, after) = tail.split_once('*').filter(|(inner, _)| !inner.is_empty() && !inner.starts_with(' '))?;
        return Some((format!("<i>{}</i>", inline(inner)), after));
    }
    if let Some(tail) = text.strip_prefix("![") {
        // Pictures would be fetched from elsewhere; their description stands for them.
        let (label, _, after) = link(tail)?;
        return Some((format!("[{}]", escape(label)), after));
    }
    let (label, url, after) = link(text.strip_prefix('[')?)?;
    let scheme = ["http://", "https://", "dingtalk://"].iter().any(|scheme| url.starts_with(scheme));
    let label = inline(label);
    Some((if scheme { format!("<a href=\"{}\" rel=\"noreferrer\">{label}</a>", escape(url)) } else { label }, after))
}

fn link(tail: &str) -> Option<(&str, &str, &str)> {
    let (label, tail) = tail.split_once("](")?;
    let (url, after) = tail.split_once(')')?;
    Some((label, url, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_dingtalk_renders() {
        for (markdown, html) in [
            ("### A & B", "<h3>A &amp; B</h3>"),
            ("**bold** and *it*", "<p><b>bold</b> and <i>it</i></p>"),
            ("- a\n- b\n\ntext", "<ul><li>a</li><li>b</li></ul><p>text</p>"),
            ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
            ("> q1\n> q2", "<blockquote>q1<br>q2</blockquote>"),
            ("line 1  \nline 2", "<p>line 1<br>line 2</p>"),
            ("[graph](http://x/y?a=1&b=2)", "<p><a href=\"http://x/y?a=1&amp;b=2\" rel=\"noreferrer\">graph</a></p>"),
            ("[x](javascript:alert(1))", "<p>x)</p>"),
            ("<script>", "<p>&lt;script&gt;</p>"),
            ("2 * 3 ** x", "<p>2 * 3 ** x</p>"),
            (r"a\_b\*c", "<p>a_b*c</p>"),
            ("# 一\n二", "<h1>一</h1><p>二</p>"),
        ] {
            assert_eq!(to_html(markdown), html, "{markdown}");
        }
    }
}
