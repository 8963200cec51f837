//! What may be ordered, and what is in force.

use serde::{Deserialize, Serialize};

/// Orders: what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Orders {
    /// Memory leaked per second, MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leak_memory_mb_per_s: Option<f64>,
    /// Descriptors leaked per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leak_fds_per_s: Option<f64>,
    /// Sockets to hold in CLOSE_WAIT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_wait: Option<usize>,
    /// Metrics and health are accepted and not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang: Option<bool>,
    /// One thread runs at full speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spin: Option<bool>,
    /// SIGTERM is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_sigterm: Option<bool>,
    /// First everything ends and everything leaked is given back.
    pub heal: bool,
}

/// What is in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Symptoms {
    /// MiB per second.
    pub leak_memory_mb_per_s: f64,
    /// Descriptors per second.
    pub leak_fds_per_s: f64,
    /// Sockets in CLOSE_WAIT.
    pub close_wait: usize,
    /// Not answering.
    pub hang: bool,
    /// Spinning.
    pub spin: bool,
    /// Deaf to SIGTERM.
    pub ignore_sigterm: bool,
}

// === impl Symptoms ===

impl Symptoms {
    /// Follows orders.
    pub fn obey(&mut self, orders: &Orders) {
        if orders.heal {
            *self = Self::default();
        }
        let rate = |asked: Option<f64>, now: f64| asked.filter(|rate| rate.is_finite() && *rate >= 0.0).unwrap_or(now);
        self.leak_memory_mb_per_s = rate(orders.leak_memory_mb_per_s, self.leak_memory_mb_per_s);
        self.leak_fds_per_s = rate(orders.leak_fds_per_s, self.leak_fds_per_s);
        self.close_wait = orders.close_wait.unwrap_or(self.close_wait);
        self.hang = orders.hang.unwrap_or(self.hang);
        self.spin = orders.spin.unwrap_or(self.spin);
        self.ignore_sigterm = orders.ignore_sigterm.unwrap_or(self.ignore_sigterm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_add_up_until_healed() {
        let mut symptoms = Symptoms::default();
        for text in [r#"{"leak_fds_per_s": 5}"#, r#"{"hang": true, "close_wait": 3}"#] {
            symptoms.obey(&serde_json::from_str(text).unwrap());
        }
        assert_eq!(symptoms, Symptoms { leak_fds_per_s: 5.0, hang: true, close_wait: 3, ..Symptoms::default() });
        symptoms.obey(&serde_json::from_str(r#"{"heal": true, "spin": true}"#).unwrap());
        assert_eq!(symptoms, Symptoms { spin: true, ..Symptoms::default() });
        assert!(serde_json::from_str::<Orders>(r#"{"explode": true}"#).is_err());
    }
}
