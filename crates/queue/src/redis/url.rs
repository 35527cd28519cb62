//! The URLs under which a Redis is named, and what the client makes of them.

use fred::types::config::{ClusterDiscoveryPolicy, Config, Server, ServerConfig};
use url::Url;

use super::RedisError;

/// What stands behind a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Single,
    Sentinel,
    Cluster,
}

/// A URL taken apart.
struct Parts<'a> {
    form: Form,
    is_tls: bool,
    /// The URL with its first host only and the scheme `redis`: what every form has in common.
    first: String,
    /// The hosts behind the first.
    others: Vec<&'a str>,
}

/// The client's configuration for `url`, without TLS, and whether the URL asks for it.
pub(super) fn parse(url: &str) -> Result<(Config, bool), RedisError> {
    let Parts { form, is_tls, first, others } = take_apart(url)?;
    let parsed = Url::parse(&first).map_err(|error| unusable(error.to_string()))?;
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(unusable("it names no host"));
    }
    check_database(form, &parsed)?;
    let mut config = Config::from_url_centralized(&first).map_err(|error| unusable(error.details()))?;
    if form != Form::Single {
        let mut hosts = vec![host(form, &parsed)];
        let query: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
        let nodes = query.iter().filter(|(name, _)| name == "node").map(|(_, node)| node.as_str());
        for (number, node) in (2..).zip(others.iter().copied().chain(nodes)) {
            let url = Url::parse(&format!("redis://{node}")).ok().filter(|url| url.host_str().is_some());
            hosts.push(host(form, &url.ok_or_else(|| unusable(format!("node {number} is not a host and a port")))?));
        }
        config.server = several(form, hosts, &query)?;
    }
    Ok((config, is_tls))
}

/// The first host and port of `url`, for messages: never the user or the password.
pub(super) fn address(url: &str) -> Option<String> {
    let parts = take_apart(url).ok()?;
    let first = Url::parse(&parts.first).ok()?;
    Some(host(parts.form, &first).to_string())
}

fn take_apart(url: &str) -> Result<Parts<'_>, RedisError> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (name, form) = scheme.split_once(['+', '-']).unwrap_or((scheme, ""));
    let form = match form {
        "" if !scheme.ends_with(['+', '-']) => Form::Single,
        "sentinel" => Form::Sentinel,
        "cluster" => Form::Cluster,
        _ => return Err(wrong_scheme()),
    };
    if !["redis", "rediss", "valkey", "valkeys"].contains(&name) {
        return Err(wrong_scheme());
    }
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    if tail.contains('@') {
        return Err(unusable(
            "an @ follows the host: write `/` as %2F, `?` as %3F and `#` as %23 in the user and the password, and `@` as \
             %40 elsewhere",
        ));
    }
    let at = if user.is_empty() { "" } else { "@" };
    let mut hosts = hosts.split(',');
    let first = hosts.next().unwrap_or_default();
    let others: Vec<&str> = hosts.collect();
    if form == Form::Single && !others.is_empty() {
        return Err(unusable("only redis-sentinel:// and redis-cluster:// name several hosts"));
    }
    let is_tls = name.ends_with("ss") || name == "valkeys";
    Ok(Parts { form, is_tls, first: format!("redis://{user}{at}{first}{tail}"), others })
}

fn check_database(form: Form, url: &Url) -> Result<(), RedisError> {
    let database = url.path().trim_start_matches('/');
    if database.is_empty() {
        return Ok(());
    }
    match database.parse::<u8>() {
        // Never what stands there: it may be the rest of a password.
        Err(_) => Err(unusable(
            "what follows the host is no database number from 0 to 255; if it belongs to the user or the password, \
             write `/` as %2F, `?` as %3F and `#` as %23 there",
        )),
        Ok(1..) if form == Form::Cluster => Err(unusable(format!("a cluster has no database {database}, only 0"))),
        Ok(_) => Ok(()),
    }
}

fn several(form: Form, hosts: Vec<Server>, query: &[(String, String)]) -> Result<ServerConfig, RedisError> {
    if form == Form::Cluster {
        return Ok(ServerConfig::Clustered { hosts, policy: ClusterDiscoveryPolicy::default() });
    }
    let value = |name: &str| query.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let service_name = value("sentinelServiceName").filter(|name| !name.is_empty()).ok_or_else(|| {
        unusable("a redis-sentinel:// URL must say which master the Sentinels watch: add ?sentinelServiceName=mymaster")
    })?;
    let (username, password) = (value("sentinelUsername"), value("sentinelPassword"));
    Ok(ServerConfig::Sentinel { hosts, service_name, username, password })
}

fn host(form: Form, url: &Url) -> Server {
    let port = if form == Form::Sentinel { 26379 } else { 6379 };
    // The brackets of an IPv6 address belong to the URL, not to the address.
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    Server::new(host, url.port().unwrap_or(port))
}

fn wrong_scheme() -> RedisError {
    unusable("it must start with redis://, rediss://, redis-sentinel:// or redis-cluster://")
}

fn unusable(problem: impl Into<String>) -> RedisError {
    RedisError::Url { problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> Vec<String> {
        parse(url).unwrap().0.server.hosts().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn several_hosts_stand_in_a_list_or_as_nodes() {
        let both = ["127.0.0.1:7000", "b.example:7001"];
        assert_eq!(hosts("redis-cluster://127.0.0.1:7000,b.example:7001"), both);
        assert_eq!(hosts("redis+cluster://u:p%40@127.0.0.1:7000?node=b.example:7001"), both);
        assert_eq!(hosts("redis+sentinel://a,b:1/2?sentinelServiceName=m"), ["a:26379", "b:1"]);
    }

    #[test]
    fn users_databases_and_sentinels_are_understood() {
        let (config, is_tls) =
            parse("rediss-sentinel://u:p%40ss,@a:1,b:2/3?sentinelServiceName=m&sentinelPassword=s").unwrap();
        assert!(is_tls);
        assert_eq!((config.username.as_deref(), config.password.as_deref()), (Some("u"), Some("p@ss,")));
        assert_eq!(config.database, Some(3));
        let ServerConfig::Sentinel { service_name, password, .. } = config.server else { panic!("not a sentinel") };
        assert_eq!((service_name.as_str(), password.as_deref()), ("m", Some("s")));
    }

    #[test]
    fn what_a_form_cannot_have_is_refused_with_the_remedy() {
        let cases = [
            ("redis://a,b", "redis-cluster://"),
            ("redis-cluster://a/1", "only 0"),
            ("redis-sentinel://a", "?sentinelServiceName="),
            ("redis-cluster://a?node=:1", "not a host"),
            ("redis-:1//a", "must start with"),
            ("http-cluster://a", "must start with"),
        ];
        for (url, remedy) in cases {
            let error = parse(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(remedy), "{url}: {error}");
        }
    }

    #[test]
    fn no_problem_shows_a_part_of_a_password() {
        for url in [
            "redis://user:123/hunter2@h:6379",
            "redis://user:123/hunter2",
            "redis://user:12?hunter2@h",
            "redis-sentinel://h?node=:hunter2@&sentinelServiceName=m",
            "redis-sentinel://h,:hunter2?sentinelServiceName=m",
        ] {
            let error = parse(url).err().map(|error| error.to_string()).unwrap_or_else(|| panic!("{url} is accepted"));
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_address_shows_no_password() {
        assert_eq!(address("redis-sentinel://u:hunter2@a,b?sentinelServiceName=m").unwrap(), "a:26379");
        assert_eq!(address("rediss://:hunter2@h").unwrap(), "h:6379");
    }
}
