//! What each code of a finding in a rule file or rule test means, and what to do about it; in English and Chinese.

/// Code, English, Chinese; sorted by code.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "E101",
        "The expression is not PromQL: something stands where the grammar allows something else. The caret shows the place; the message says what was expected there.",
        "表达式不是合法的 PromQL：此处的内容不符合语法。插入符标出位置，消息说明此处应为何物。",
    ),
    (
        "E102",
        "A number, duration, time or quoted text in the expression cannot be read. Durations are whole numbers with units in the order y w d h m s ms, such as 1h30m.",
        "表达式中的数字、时长、时间或引号文本无法读取。时长为整数加单位，单位顺序为 y w d h m s ms，例如 1h30m。",
    ),
    (
        "E103",
        "The expression calls a function that does not exist. Compare its spelling with the documentation of PromQL functions.",
        "表达式调用了不存在的函数，请与 PromQL 函数文档核对拼写。",
    ),
    (
        "E104",
        "A function or operator was given a value of the wrong type, or too many or too few. rate(), increase() and the like need a range such as [5m]; comparisons need vectors or `bool`.",
        "函数或运算符得到的值类型不对，或参数个数不对。rate()、increase() 等需要 [5m] 这样的区间；比较需要向量或 `bool`。",
    ),
    (
        "E105",
        "on(), ignoring(), group_left() or group_right() is used where it has no meaning.",
        "on()、ignoring()、group_left() 或 group_right() 用在了没有意义的地方。",
    ),
    (
        "E106",
        "A selector is wrong: a pattern that is not RE2, a name given twice, a modifier in the wrong place, or no condition at all.",
        "选择器有误：正则不是 RE2、名称重复、修饰符位置不对，或没有任何条件。",
    ),
    ("E107", "The expression is too long or too deeply nested. Split it with recording rules.", "表达式过长或嵌套过深，请用记录规则拆分。"),
    (
        "E108",
        "Prometheus knows this, but it is not evaluated here: experimental syntax, or native histograms. The rule is refused, so that it never gives a wrong answer.",
        "Prometheus 支持此写法，但此处不计算：实验性语法或原生直方图。规则会被拒绝，以免给出错误结果。",
    ),
    ("E110", "A group needs a name, and two groups of one file must not share one.", "规则组必须有名称，同一文件内不得重名。"),
    ("E111", "A rule has exactly one of `alert` and `record`, and an `expr`.", "每条规则必须且只能有 `alert` 或 `record` 之一，并且必须有 `expr`。"),
    (
        "E112",
        "A duration cannot be read: whole numbers with units in the order y w d h m s ms, such as 30s or 1h30m. An interval must be above zero.",
        "时长无法读取：应为整数加单位，顺序为 y w d h m s ms，例如 30s 或 1h30m。interval 必须大于零。",
    ),
    (
        "E113",
        "A recording rule has no `for`, `keep_firing_for` or `annotations`: it records a value and has no alert.",
        "记录规则没有 `for`、`keep_firing_for` 或 `annotations`：它只记录数值，不产生告警。",
    ),
    (
        "E114",
        "The name of a recorded metric is not a metric name: it must not contain braces (labels go under `labels`).",
        "记录的指标名无效：不能带花括号（标签写在 `labels` 下）。",
    ),
    ("E115", "A label or annotation needs a name, and a label cannot be `__name__`.", "标签或注解必须有名称，标签不能是 `__name__`。"),
    ("E116", "The template of a label or annotation cannot be parsed. The caret shows the place.", "标签或注解的模板无法解析，插入符标出位置。"),
    ("E117", "`limit` is a whole number, 0 for none.", "`limit` 是整数，0 表示不限制。"),
    ("E130", "A rule test is incomplete or wrong: see the message for the key.", "规则测试不完整或有误：消息中指明了具体的键。"),
    (
        "E131",
        "The values of an input series cannot be read: items are `v`, `vxN`, `a+bxN`, `a-bxN`, `_`, `_xN`, `stale`.",
        "输入序列的值无法读取：可用的形式为 `v`、`vxN`、`a+bxN`、`a-bxN`、`_`、`_xN`、`stale`。",
    ),
    ("W110", "The file has more than one YAML document; only the first is used.", "文件包含多个 YAML 文档，只使用第一个。"),
    (
        "W111",
        "Two rules have the same name and labels: their alerts or series are the same, and one hides the other.",
        "两条规则的名称和标签相同：它们的告警或序列也相同，会互相覆盖。",
    ),
    (
        "W112",
        "A label holds the value of the expression. Each new value makes a new alert, so with `for` it never fires, and without it messages multiply. Put the value into an annotation.",
        "标签中包含表达式的值：每个新值都会产生一条新告警，有 `for` 时永远不会触发，没有 `for` 时消息会成倍增加。请把值放进注解。",
    ),
    (
        "W113",
        "rate(), increase() and irate() are for counters: on a gauge every drop counts as a reset and adds the whole value. For a gauge use delta() or deriv().",
        "rate()、increase()、irate() 只适用于计数器：用在仪表盘指标上时，每次下降都会被当作重置而把整个值加上去。仪表盘指标请用 delta() 或 deriv()。",
    ),
    (
        "W114",
        "The metric is what the process says of itself. When it hangs or is overloaded the scrape fails, the metric vanishes, and the alert resolves in the middle of the incident. Use what is seen from outside: proc_* or probe_*.",
        "该指标由进程自己上报。进程卡死或过载时抓取失败，指标随之消失，告警会在故障中途恢复。请使用从外部观察的 proc_* 或 probe_*。",
    ),
    (
        "W115",
        "histogram_quantile() needs the rate of a histogram's buckets: histogram_quantile(0.95, sum by (le) (rate(NAME_bucket[5m]))). Without `le` it returns nothing, so the alert never fires.",
        "histogram_quantile() 需要直方图各桶的速率：histogram_quantile(0.95, sum by (le) (rate(NAME_bucket[5m])))。没有 `le` 时没有结果，告警永远不会触发。",
    ),
    (
        "W116",
        "absent() has only the labels that its selector fixes with `=`; any other label is empty in the texts of the alert.",
        "absent() 只带有选择器中用 `=` 固定的标签；告警文本中的其他标签都是空的。",
    ),
    (
        "W117",
        "The range is shorter than two scrapes, so it often holds fewer than two samples and the function returns nothing. Use at least four times the scrape interval.",
        "区间短于两次抓取，其中常常不足两个样本，函数没有结果。请至少使用抓取间隔的四倍。",
    ),
    ("W118", "No target exposes this metric now, so the rule cannot alarm.", "目前没有任何目标暴露该指标，规则无法告警。"),
    (
        "W119",
        "`up == 0` cannot tell a hung process from one that is gone, and it says nothing once the target is no longer configured. Combine it with proc_up or probe_success, or add a rule with absent().",
        "`up == 0` 无法区分进程卡死与进程不存在，目标不再被配置时也不会告警。请与 proc_up 或 probe_success 组合，或另加一条 absent() 规则。",
    ),
    ("W120", "A text uses a label that the expression's result cannot have; it will be empty.", "文本使用了表达式结果中不可能存在的标签，将为空。"),
    (
        "W121",
        "A name with other characters than letters, digits and `_` is taken since Prometheus 3.0, but must be written in quotes wherever it is used; older tools refuse it.",
        "含有字母、数字和 `_` 之外字符的名称自 Prometheus 3.0 起可用，但在使用处必须加引号；旧工具会拒绝它。",
    ),
    (
        "W122",
        "The template can be parsed but will fail whenever the alert fires: a field that does not exist, a query that cannot be parsed, a wrong number or type of arguments. The message would hold `<error expanding template: …>` instead of the text.",
        "模板可以解析，但告警触发时必定失败：字段不存在、查询无法解析、参数个数或类型不对。消息中会出现 `<error expanding template: …>` 而不是应有的文本。",
    ),
    ("W130", "A pattern under `rule_files` matches no file.", "`rule_files` 中的某个模式没有匹配到文件。"),
];

/// What `code` means, in English and Chinese.
pub fn explain(code: &str) -> Option<(&'static str, &'static str)> {
    CODES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(code)).map(|(_, en, zh)| (*en, *zh))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(explain("w112").is_some() && explain("E999").is_none());
    }
}
