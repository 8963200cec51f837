//! What the codes of this crate mean, for `explain`.

/// Code, meaning in English, meaning in Chinese.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "E001",
        "The file is not YAML at this place: an unclosed quote or bracket, a wrong indentation, a tab.",
        "此处不是合法的 YAML：引号或括号未闭合、缩进错误或使用了制表符。",
    ),
    (
        "E002",
        "The key is not known here. A near one is proposed; the list of known keys is in the message.",
        "此处没有这个键。消息中给出相近的键与可用的键。",
    ),
    ("E003", "A required key is missing in the mapping at this place.", "此处缺少必需的键。"),
    ("E004", "The value has another type or form than the key takes.", "值的类型或形式与该键不符。"),
    ("E005", "The key is written twice in one mapping; the place is that of the second one.", "同一映射中键重复；位置指向第二个。"),
    ("E006", "The document is too large, too deep, or its aliases expand too far.", "文档过大、层级过深，或别名展开过多。"),
];
