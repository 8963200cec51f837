//! Traps in the expression alone.

use diagnostics::{Text, closest};
use promql::functions::FunctionKind;
use promql::parse::{Binary, BinaryOp, Call, Expr, ExprKind, Grouping, Selector, inspect, print_duration};

use super::{At, Finding, Surroundings};

pub(super) fn find(expr: &Expr, surroundings: &Surroundings<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    inspect::walk(expr, &mut |node| match &node.kind {
        ExprKind::Call(call) => {
            found.extend(counter_function_on_gauge(call, node));
            found.extend(short_range(call, node, surroundings));
            found.extend(quantile_without_buckets(call, node));
        }
        ExprKind::Binary(binary) if binary.op.is_comparison() => {
            found.extend(vanishing_metric(binary, expr));
            found.extend(up_alone(binary, expr));
        }
        ExprKind::Instant(selector) => found.extend(unknown_metric(selector, node, surroundings)),
        ExprKind::Range(range) => found.extend(unknown_metric(&range.selector, node, surroundings)),
        _ => {}
    });
    found
}

fn finding(code: &'static str, node: &Expr, message: Text, hint: Text) -> Finding {
    Finding { code, at: At::Expr(node.span), message, hint: Some(hint) }
}

/// The selector that an expression is, below parentheses and range functions.
fn selector_of(expr: &Expr) -> Option<&Selector> {
    match &expr.unwrapped().kind {
        ExprKind::Instant(selector) => Some(selector),
        ExprKind::Range(range) => Some(&range.selector),
        ExprKind::Call(call) => call.args.iter().find_map(selector_of),
        ExprKind::Aggregate(aggregate) => selector_of(&aggregate.expr),
        _ => None,
    }
}

/// Names that by custom are gauges: they go down without having been reset.
fn is_gauge(name: &str) -> bool {
    let counter = ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
    let words = [
        "open_fds",
        "file_descriptors",
        "_fds",
        "memory",
        "rss",
        "connections",
        "sockets",
        "threads",
        "queue_size",
        "queue_length",
        "depth",
        "temperature",
        "_ratio",
        "goroutines",
        "objects",
    ];
    !counter && (words.iter().any(|word| name.contains(word)) || name.ends_with("_bytes") || name.ends_with("_percent") || name == "up")
}

fn counter_function_on_gauge(call: &Call, node: &Expr) -> Option<Finding> {
    let name = match call.function.kind {
        FunctionKind::Rate | FunctionKind::Increase | FunctionKind::Irate | FunctionKind::Resets => call.function.name,
        _ => return None,
    };
    let metric = call.args.iter().find_map(selector_of).and_then(Selector::metric_name).filter(|metric| is_gauge(metric))?;
    let better = if name == "increase" { "delta" } else { "deriv" };
    Some(finding(
        "W113",
        node,
        Text::new(
            format!("{name}() on the gauge `{metric}`: a drop counts as a counter's reset and adds the whole value"),
            format!("对仪表盘指标 `{metric}` 使用 {name}()：数值下降会被当作计数器重置，把整个值加上去"),
        ),
        Text::new(format!("use {better}(), which takes a drop as a drop"), format!("请改用 {better}()，它把下降就当作下降")),
    ))
}

fn short_range(call: &Call, node: &Expr, surroundings: &Surroundings<'_>) -> Option<Finding> {
    let scrape = surroundings.scrape_interval_ms?;
    if !matches!(
        call.function.kind,
        FunctionKind::Rate | FunctionKind::Increase | FunctionKind::Irate | FunctionKind::Delta | FunctionKind::Idelta | FunctionKind::Deriv
    ) {
        return None;
    }
    let range = call.args.iter().find_map(|arg| if let ExprKind::Range(range) = &arg.unwrapped().kind { Some(range.range_ms) } else { None })?;
    (range < 2 * scrape).then(|| {
        let (range, scrape, good) = (print_duration(range), print_duration(scrape), print_duration(scrape * 4));
        finding(
            "W117",
            node,
            Text::new(
                format!("{}() over {range}, but a scrape comes every {scrape}: often fewer than two samples, and no result", call.function.name),
                format!("{}() 的区间为 {range}，而抓取间隔为 {scrape}：区间内常常不足两个样本，没有结果", call.function.name),
            ),
            Text::new(format!("use [{good}] or more"), format!("请使用 [{good}] 或更长的区间")),
        )
    })
}

fn quantile_without_buckets(call: &Call, node: &Expr) -> Option<Finding> {
    if call.function.kind != FunctionKind::HistogramQuantile {
        return None;
    }
    let buckets = call.args.get(1)?;
    let metric = selector_of(buckets).and_then(Selector::metric_name).unwrap_or_default();
    let mut has_rate = false;
    let mut loses_le = false;
    inspect::walk(buckets, &mut |inner| match &inner.kind {
        ExprKind::Call(call) => {
            has_rate |= matches!(call.function.kind, FunctionKind::Rate | FunctionKind::Increase | FunctionKind::Irate | FunctionKind::Delta);
        }
        ExprKind::Aggregate(aggregate) => {
            loses_le |= match &aggregate.grouping {
                Grouping::By(labels) => !labels.iter().any(|label| label == "le"),
                Grouping::Without(labels) => labels.iter().any(|label| label == "le"),
            }
        }
        _ => {}
    });
    let recorded = metric.contains(':');
    let (en, zh) = if loses_le {
        ("the aggregation drops the label `le`, so there is no result".to_owned(), "聚合丢掉了标签 `le`，不会有结果".to_owned())
    } else if !recorded && !metric.is_empty() && !metric.ends_with("_bucket") {
        (
            format!("`{metric}` is no bucket series: without the label `le` there is no result, and the alert never fires"),
            format!("`{metric}` 不是桶序列：没有标签 `le` 就没有结果，告警永远不会触发"),
        )
    } else if !recorded && !has_rate {
        ("the buckets are counted since the start of the process, not lately".to_owned(), "这些桶是自进程启动以来的累计，而不是近期的分布".to_owned())
    } else {
        return None;
    };
    let base = metric.trim_end_matches("_bucket");
    let form = format!("histogram_quantile(0.95, sum by (le) (rate({base}_bucket[5m])))");
    Some(finding("W115", node, Text::new(en, zh), Text::new(format!("the usual form is {form}"), format!("通常写作 {form}"))))
}

/// Metrics with which a process speaks of its own health.
fn is_self_reported(name: &str) -> bool {
    let outside = ["proc_", "probe_", "node_", "container_", "watchdog_", "namedprocess_", "scrape_"];
    if outside.iter().any(|prefix| name.starts_with(prefix)) || name.contains("_time_seconds") || name.contains("timestamp") || name.contains(':') {
        return false;
    }
    let own = ["process_", "go_", "python_", "jvm_"];
    own.iter().any(|prefix| name.starts_with(prefix))
        || ["memory", "rss", "connections", "file_descriptors", "_fds"].iter().any(|word| name.contains(word))
}

fn vanishing_metric(binary: &Binary, whole: &Expr) -> Option<Finding> {
    if !matches!(binary.op, BinaryOp::Gt | BinaryOp::Ge) {
        return None;
    }
    let metric = selector_of(&binary.lhs).and_then(Selector::metric_name).filter(|name| is_self_reported(name))?;
    // Whoever also looks from outside has thought of it.
    let guarded = inspect::metric_names(whole).iter().any(|name| ["up", "proc_", "probe_"].iter().any(|known| name.starts_with(known)));
    let outside = match metric {
        name if name.contains("fds") || name.contains("file_descriptors") => "proc_open_fds",
        name if name.contains("connections") => "sum by (process) (proc_sockets)",
        name if name.contains("memory") || name.contains("rss") => "proc_resident_memory_bytes",
        _ => "proc_* / probe_*",
    };
    (!guarded).then(|| {
        finding(
            "W114",
            &binary.lhs,
            Text::new(
                format!("`{metric}` is what the process says of itself: when it hangs the scrape fails, the metric vanishes and the alert resolves"),
                format!("`{metric}` 由进程自己上报：进程卡死时抓取失败，指标消失，告警随之恢复"),
            ),
            Text::new(format!("use what is seen from outside: {outside}"), format!("请使用从外部观察的指标：{outside}")),
        )
    })
}

fn up_alone(binary: &Binary, whole: &Expr) -> Option<Finding> {
    let is_up = |side: &Expr| matches!(&side.unwrapped().kind, ExprKind::Instant(selector) if selector.metric_name() == Some("up"));
    let only_up = inspect::metric_names(whole).iter().all(|name| *name == "up");
    let alone = matches!(binary.op, BinaryOp::Eq | BinaryOp::Lt) && is_up(&binary.lhs) && only_up;
    alone.then(|| {
        finding(
            "W119",
            whole,
            Text::new(
                "`up == 0` looks the same for a process that hangs and for one that is gone, and is silent when the target is no longer configured",
                "`up == 0` 无法区分进程卡死与进程不存在；目标不再被配置时也不会告警",
            ),
            Text::new(
                "combine it with proc_up: `up == 0 and on (process) proc_up == 1`",
                "请与 proc_up 组合：`up == 0 and on (process) proc_up == 1`",
            ),
        )
    })
}

fn unknown_metric(selector: &Selector, node: &Expr, surroundings: &Surroundings<'_>) -> Option<Finding> {
    let known = surroundings.known_metrics?;
    let name = selector.metric_name().filter(|name| !known.contains(*name) && !name.starts_with("ALERTS"))?;
    let message = Text::new(format!("no target exposes `{name}`: the rule cannot alarm"), format!("没有目标暴露 `{name}`：规则无法告警"));
    let hint =
        closest(name, known.iter().map(String::as_str)).map(|near| Text::new(format!("did you mean `{near}`?"), format!("是否想写 `{near}`？")));
    Some(Finding { code: "W118", at: At::Expr(node.span), message, hint })
}
