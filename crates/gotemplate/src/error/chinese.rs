//! Go's words for what is wrong with a template, in Chinese. What is quoted from the template stays as it is.

/// English, Chinese; `{}` stands for what is quoted. The first that fits is taken.
const WORDS: &[(&str, &str)] = &[
    ("function {} not defined", "没有函数 {}"),
    ("undefined variable {}", "未定义的变量 {}"),
    ("template {} not defined", "没有模板 {}"),
    ("no template {} in this set", "没有模板 {}"),
    ("unexpected EOF", "模板意外结束，缺少 {{end}}"),
    ("expected end; found {{else}}", "此处应为 {{end}}，却是 {{else}}"),
    ("unexpected right paren", "多余的右括号"),
    ("unexpected . after term {}", "{} 之后不应有 ."),
    ("unexpected {} in {}", "{2} 中不应出现 {1}"),
    ("unexpected {}", "不应出现 {}"),
    ("{} outside {{range}}", "{} 只能用在 {{range}} 之中"),
    ("nested more than {} deep", "嵌套超过 {} 层"),
    ("invalid syntax", "字符串写法无效"),
    ("template: multiple definition of template {}", "模板 {} 重复定义"),
    ("range can only initialize variables", "range 只能初始化变量"),
    ("too many declarations in {}", "{} 中声明的变量过多"),
    ("non executable command in pipeline stage {}", "管道的第 {} 段不能执行"),
    ("bad number syntax: {}", "数字写法有误：{}"),
    ("malformed character constant: {}", "字符常量写法有误：{}"),
    ("missing value for {}", "{} 缺少值"),
    ("unclosed left paren", "左括号没有配对"),
    ("unclosed comment", "注释没有结束"),
    ("comment ends before closing delimiter", "注释之后应紧接 }}"),
    ("unclosed action", "缺少 }}"),
    ("expected :=", "此处应为 :="),
    ("unrecognized character in action: {}", "动作中有无法识别的字符 {}"),
    ("bad character {}", "不应有的字符 {}"),
    ("unterminated raw quoted string", "反引号字符串没有结束"),
    ("unterminated quoted string", "引号没有配对"),
    ("unterminated character constant", "字符常量没有结束"),
    ("can't evaluate field {} in type {}", "没有字段 {1}"),
    ("wrong number of args for {}: want {} got {}", "{1} 的参数个数不对：应为 {2}，实为 {3}"),
    ("wrong type for value; expected {}; got {}", "类型不对：应为 {1}，实为 {2}"),
    ("error calling {}: {}", "调用 {1} 出错：{2}"),
    ("can't give argument to non-function {}", "{} 不是函数，不能带参数"),
    ("nil is not a command", "nil 不能单独使用"),
    ("range can't iterate over {}", "range 不能遍历 {}"),
];

/// `message` in Chinese.
pub(super) fn of(message: &str) -> Option<String> {
    WORDS.iter().find_map(|(english, chinese)| Some(filled(chinese, &quoted(english, message)?)))
}

/// What stands in `message` where `pattern` has `{}`; `None` when it does not fit. The last takes all that is left.
fn quoted<'m>(pattern: &str, message: &'m str) -> Option<Vec<&'m str>> {
    let mut parts = pattern.split("{}");
    let mut rest = message.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    let parts: Vec<&str> = parts.collect();
    for (at, part) in parts.iter().enumerate() {
        let end = if at + 1 == parts.len() { rest.len().checked_sub(part.len()).filter(|_| rest.ends_with(part))? } else { rest.find(part)? };
        let (one, more) = rest.split_at_checked(end)?;
        found.push(one);
        rest = more.strip_prefix(part)?;
    }
    rest.is_empty().then_some(found)
}

/// `{}` and `{1}` are the first of `quoted`, `{2}` the second, and so on.
fn filled(chinese: &str, quoted: &[&str]) -> String {
    let first = chinese.replace("{}", quoted.first().unwrap_or(&""));
    quoted.iter().enumerate().fold(first, |text, (at, one)| text.replace(&format!("{{{}}}", at + 1), one))
}
