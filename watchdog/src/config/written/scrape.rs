//! `scrape_configs:` and `alerting:` as written: Prometheus's keys, those of other service discoveries and of native histograms named so that they can be refused.

use std::collections::BTreeMap;

use diagnostics::yaml::Spanned;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Text, Unsupported};

/// A mapping with the keys of an HTTP client and of discovery beside its own: `serde` cannot flatten and refuse unknown keys at once. What this version
/// does not have is listed, so that it is refused by its name.
macro_rules! with_http {
    ($(#[$meta:meta])* $name:ident { $($fields:tt)* }) => {
        with_http! { @ $(#[$meta])* $name { $($fields)* }
            proxy_connect_header azure_sd_configs consul_sd_configs digitalocean_sd_configs dns_sd_configs docker_sd_configs
            dockerswarm_sd_configs ec2_sd_configs eureka_sd_configs gce_sd_configs hetzner_sd_configs http_sd_configs ionos_sd_configs
            kubernetes_sd_configs kuma_sd_configs lightsail_sd_configs linode_sd_configs marathon_sd_configs nerve_sd_configs
            nomad_sd_configs openstack_sd_configs ovhcloud_sd_configs puppetdb_sd_configs scaleway_sd_configs serverset_sd_configs
            stackit_sd_configs triton_sd_configs uyuni_sd_configs vultr_sd_configs
        }
    };
    (@ $(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* } $($unsupported:ident)*) => {
        $(#[$meta])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(in crate::config) struct $name {
            $($(#[$field_meta])* pub(in crate::config) $field: $type,)*
            basic_auth: Option<Spanned<BasicAuth>>,
            authorization: Option<Spanned<Authorization>>,
            oauth2: Option<Spanned<OAuth2>>,
            bearer_token: Option<Text>,
            bearer_token_file: Option<Text>,
            tls_config: Option<Spanned<Tls>>,
            follow_redirects: Option<bool>,
            enable_http2: Option<bool>,
            proxy_url: Option<Text>,
            no_proxy: Option<Text>,
            #[serde(default)]
            proxy_from_environment: bool,
            #[serde(default)]
            http_headers: BTreeMap<String, Spanned<Header>>,
            #[serde(default)]
            pub(in crate::config) static_configs: Vec<StaticConfig>,
            #[serde(default)]
            pub(in crate::config) file_sd_configs: Vec<FileSd>,
            #[serde(default)]
            pub(in crate::config) relabel_configs: Vec<Spanned<Relabel>>,
            $($unsupported: Unsupported,)*
        }

        impl $name {
            /// The keys of the HTTP client.
            pub(in crate::config) fn http(&self) -> Http<'_> {
                Http {
                    basic_auth: self.basic_auth.as_ref(),
                    authorization: self.authorization.as_ref(),
                    oauth2: self.oauth2.as_ref(),
                    bearer: (self.bearer_token.as_ref(), self.bearer_token_file.as_ref()),
                    tls: self.tls_config.as_ref(),
                    follow_redirects: self.follow_redirects.unwrap_or(true),
                    enable_http2: self.enable_http2.unwrap_or(true),
                    proxy: (self.proxy_url.as_ref(), self.no_proxy.as_ref(), self.proxy_from_environment),
                    headers: &self.http_headers,
                }
            }

            /// Keys that this version does not have, with what is written.
            pub(in crate::config) fn unsupported(&self) -> Vec<(&'static str, &Unsupported)> {
                vec![$((stringify!($unsupported), &self.$unsupported),)*]
            }
        }
    };
}

with_http! {
    /// One entry of `scrape_configs:`.
    ScrapeConfig {
        job_name: Text,
        scrape_interval: Option<Text>,
        scrape_timeout: Option<Text>,
        scrape_protocols: Option<Vec<Text>>,
        fallback_scrape_protocol: Option<Text>,
        metrics_path: Option<Text>,
        scheme: Option<Text>,
        #[serde(default)]
        params: BTreeMap<String, Vec<String>>,
        #[serde(default)]
        honor_labels: bool,
        honor_timestamps: Option<bool>,
        #[serde(default)]
        track_timestamps_staleness: bool,
        enable_compression: Option<bool>,
        body_size_limit: Option<Text>,
        sample_limit: Option<usize>,
        label_limit: Option<usize>,
        label_name_length_limit: Option<usize>,
        label_value_length_limit: Option<usize>,
        target_limit: Option<usize>,
        stale_after_failures: Option<Spanned<u32>>,
        #[serde(default)]
        metric_relabel_configs: Vec<Spanned<Relabel>>,
        scrape_failure_log_file: Unsupported,
        scrape_native_histograms: Option<Spanned<bool>>,
        convert_classic_histograms_to_nhcb: Option<Spanned<bool>>,
        metric_name_validation_scheme: Option<Text>,
        metric_name_escaping_scheme: Option<Text>,
        extra_scrape_metrics: Option<Spanned<bool>>,
        // Of lists of dropped targets and of native histograms: there are none here, so nothing is to be bounded.
        #[serde(rename = "keep_dropped_targets")]
        _keep_dropped_targets: Option<IgnoredAny>,
        #[serde(rename = "scrape_classic_histograms")]
        _scrape_classic_histograms: Option<IgnoredAny>,
        #[serde(rename = "always_scrape_classic_histograms")]
        _always_scrape_classic_histograms: Option<IgnoredAny>,
        #[serde(rename = "native_histogram_bucket_limit")]
        _native_histogram_bucket_limit: Option<IgnoredAny>,
        #[serde(rename = "native_histogram_min_bucket_factor")]
        _native_histogram_min_bucket_factor: Option<IgnoredAny>,
    }
}

with_http! {
    /// One entry of `alerting.alertmanagers:`.
    Alertmanager {
        timeout: Option<Text>,
        api_version: Option<Text>,
        path_prefix: Option<Text>,
        scheme: Option<Text>,
        alert_relabel_configs: Unsupported,
        sigv4: Unsupported,
    }
}

/// The keys of an HTTP client, wherever they stand.
#[derive(Debug)]
pub(in crate::config) struct Http<'a> {
    pub(in crate::config) basic_auth: Option<&'a Spanned<BasicAuth>>,
    pub(in crate::config) authorization: Option<&'a Spanned<Authorization>>,
    pub(in crate::config) oauth2: Option<&'a Spanned<OAuth2>>,
    /// The token, and the file with it.
    pub(in crate::config) bearer: (Option<&'a Text>, Option<&'a Text>),
    pub(in crate::config) tls: Option<&'a Spanned<Tls>>,
    pub(in crate::config) follow_redirects: bool,
    pub(in crate::config) enable_http2: bool,
    /// The URL, hosts reached without it, whether the environment is asked.
    pub(in crate::config) proxy: (Option<&'a Text>, Option<&'a Text>, bool),
    pub(in crate::config) headers: &'a BTreeMap<String, Spanned<Header>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Alerting {
    pub(in crate::config) alertmanagers: Vec<Spanned<Alertmanager>>,
    pub(in crate::config) alert_relabel_configs: Vec<Spanned<Relabel>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct BasicAuth {
    pub(in crate::config) username: Option<String>,
    pub(in crate::config) username_file: Option<String>,
    pub(in crate::config) password: Option<String>,
    pub(in crate::config) password_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Authorization {
    #[serde(rename = "type")]
    pub(in crate::config) kind: Option<String>,
    pub(in crate::config) credentials: Option<String>,
    pub(in crate::config) credentials_file: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct OAuth2 {
    pub(in crate::config) client_id: String,
    pub(in crate::config) client_secret: Option<String>,
    pub(in crate::config) client_secret_file: Option<String>,
    #[serde(default)]
    pub(in crate::config) scopes: Vec<String>,
    pub(in crate::config) token_url: Text,
    #[serde(default)]
    pub(in crate::config) endpoint_params: BTreeMap<String, String>,
    pub(in crate::config) tls_config: Unsupported,
    pub(in crate::config) proxy_url: Unsupported,
    pub(in crate::config) no_proxy: Unsupported,
    pub(in crate::config) proxy_from_environment: Option<Spanned<bool>>,
    pub(in crate::config) proxy_connect_header: Unsupported,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Tls {
    pub(in crate::config) ca: Option<String>,
    pub(in crate::config) ca_file: Option<String>,
    pub(in crate::config) cert: Option<String>,
    pub(in crate::config) cert_file: Option<String>,
    pub(in crate::config) key: Option<String>,
    pub(in crate::config) key_file: Option<String>,
    pub(in crate::config) server_name: Option<String>,
    pub(in crate::config) insecure_skip_verify: bool,
    pub(in crate::config) min_version: Option<Text>,
    pub(in crate::config) max_version: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Header {
    pub(in crate::config) values: Vec<String>,
    pub(in crate::config) secrets: Vec<String>,
    pub(in crate::config) files: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct StaticConfig {
    #[serde(default)]
    pub(in crate::config) targets: Vec<Text>,
    #[serde(default)]
    pub(in crate::config) labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct FileSd {
    pub(in crate::config) files: Vec<Text>,
    pub(in crate::config) refresh_interval: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Relabel {
    pub(in crate::config) source_labels: Vec<String>,
    pub(in crate::config) separator: Option<String>,
    pub(in crate::config) regex: Option<String>,
    pub(in crate::config) modulus: Option<u64>,
    pub(in crate::config) target_label: Option<String>,
    pub(in crate::config) replacement: Option<String>,
    pub(in crate::config) action: Option<Text>,
}
