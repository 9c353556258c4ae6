//! The documentation at `/docs/`.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode, Url};

use crate::support::Server;

const SUMMARY: &str = include_str!("../../docs/SUMMARY.md");

/// What stands between a mark and the next quotation mark.
fn after<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    text.split(mark).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Every page that the first one leads to, by address, with its text.
async fn pages(server: &Server) -> BTreeMap<Url, String> {
    let first = Url::parse(&server.url("/docs/")).unwrap();
    let text = server.get("/docs/").await.text().await.unwrap();
    let mut pages = BTreeMap::from([(first.clone(), text.clone())]);
    let contents = text.split_once("id=\"pages\"").unwrap().1;
    for link in after(contents, "<li><a href=\"") {
        let address = first.join(link).unwrap();
        let answer = server.get(address.path()).await;
        assert_eq!(answer.status(), 200, "{address}");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        pages.insert(address, answer.text().await.unwrap());
    }
    pages
}

#[tokio::test]
async fn every_page_of_the_summary_is_there_and_every_link_and_anchor_leads_somewhere() {
    let server = Server::start();
    let pages = pages(&server).await;
    assert_eq!(pages.len(), SUMMARY.matches(".md)").count());
    let anchors: BTreeMap<&Url, BTreeSet<&str>> =
        pages.iter().map(|(address, text)| (address, after(text, " id=\"").into_iter().collect())).collect();
    let mut elsewhere = BTreeSet::new();
    for (address, text) in &pages {
        for link in after(text, " href=\"") {
            let mut target = address.join(link).unwrap();
            if target.origin() != address.origin() {
                continue;
            }
            let anchor = target.fragment().map(str::to_owned);
            target.set_fragment(None);
            match anchors.get(&target) {
                Some(known) => {
                    let there = anchor.as_deref().is_none_or(|anchor| known.contains(anchor));
                    assert!(there, "{address}: {link} names no heading");
                }
                None => drop(elsewhere.insert(target)),
            }
        }
    }
    // The console, the page of the API, and what the pages look by.
    assert_eq!(elsewhere.len(), 4, "{elsewhere:?}");
    for address in elsewhere {
        assert_eq!(server.get(address.path()).await.status(), 200, "{address}");
    }
}

#[tokio::test]
async fn a_page_says_where_it_stands_and_names_what_is_outside() {
    let server = Server::start();
    let page = server.get("/docs/apis").await.text().await.unwrap();
    assert!(page.contains("<a href=\"apis\" aria-current=\"page\">"), "it is marked among the others");
    assert!(page.contains("rel=\"prev\"") && page.contains("rel=\"next\""));
    assert!(page.contains("<title>") && page.contains("<table>") && !page.contains("<script"));
    assert!(!page.contains(".md\""), "no link leads to a file");
    let vertex = server.get("/docs/vertex").await.text().await.unwrap();
    assert!(vertex.contains("<code>deploy/"), "what is not here is named by its path");
}

#[tokio::test]
async fn pages_are_guarded_compressed_and_sent_once() {
    let server = Server::start();
    let get = async |name: &str, value: &str| {
        let request = server.client.get(server.url("/docs/install")).header(name, value);
        request.send().await.unwrap()
    };
    let whole = get("accept", "text/html").await;
    let policy = whole.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(whole.headers()["x-content-type-options"], "nosniff");
    let tag = whole.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(get("if-none-match", &tag).await.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(get("accept-encoding", "gzip").await.headers()["content-encoding"], "gzip");
    let head = server.client.request(Method::HEAD, server.url("/docs/install")).send().await.unwrap();
    assert_eq!((head.status(), head.headers()["etag"].to_str().unwrap()), (StatusCode::OK, tag.as_str()));
    assert_eq!(server.get("/docs").await.url().path(), "/docs/");
    assert_eq!(server.get("/docs/install.md").await.status(), 200);
    assert_eq!(server.get("/docs/no-such-page").await.status(), 404);
}
