//! What a PromQL query names, held against what there is: metrics, labels and values of closed sets.
//!
//! Labels are followed through the query as Prometheus does it, so that a label that was aggregated
//! away further in is missing further out. It evaluates nothing.

mod vocabulary;

use std::collections::BTreeSet;

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{
        self, AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality,
        VectorSelector,
    },
};

pub(crate) use vocabulary::Vocabulary;

/// Names of labels.
pub(crate) type Labels = BTreeSet<String>;

/// What stands in a query in place of something that is known only later, such as a variable of a
/// dashboard. No value of a closed set is.
pub(crate) const UNKNOWN: &str = "424242";

/// The labels of the result of a query.
///
/// # Panics
///
/// When the query is none or names something that does not exist.
pub(crate) fn labels_of(query: &str, vocabulary: &Vocabulary) -> Labels {
    let expr = parser::parse(query).unwrap_or_else(|error| panic!("{error}: {query}"));
    let reader = Reader { query, vocabulary };
    reader.labels(&expr).unwrap_or_default()
}

struct Reader<'a> {
    query: &'a str,
    vocabulary: &'a Vocabulary,
}

impl Reader<'_> {
    /// The labels of a vector; `None` for a scalar or a text.
    fn labels(&self, expr: &Expr) -> Option<Labels> {
        match expr {
            Expr::Aggregate(aggregate) => Some(self.aggregate(aggregate)),
            Expr::Unary(unary) => self.labels(&unary.expr),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Paren(paren) => self.labels(&paren.expr),
            Expr::Subquery(subquery) => self.labels(&subquery.expr),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => None,
            Expr::VectorSelector(selector) => Some(self.selector(selector)),
            Expr::MatrixSelector(matrix) => Some(self.selector(&matrix.vs)),
            Expr::Call(call) => self.call(call),
            Expr::Extension(_) => panic!("not PromQL: {}", self.query),
        }
    }

    fn vector(&self, expr: &Expr) -> Labels {
        self.labels(expr).unwrap_or_else(|| panic!("{expr} is no vector: {}", self.query))
    }

    fn aggregate(&self, aggregate: &AggregateExpr) -> Labels {
        let inner = self.vector(&aggregate.expr);
        let picks = ["topk", "bottomk"].contains(&aggregate.op.to_string().as_str());
        match &aggregate.modifier {
            Some(LabelModifier::Include(by)) => {
                self.there(&by.labels, &inner);
                if picks { inner } else { by.labels.iter().cloned().collect() }
            }
            Some(LabelModifier::Exclude(without)) => {
                self.there(&without.labels, &inner);
                let kept = inner.iter().filter(|label| !without.labels.contains(label));
                if picks { inner } else { kept.cloned().collect() }
            }
            None if picks => inner,
            None => Labels::new(),
        }
    }

    fn binary(&self, binary: &BinaryExpr) -> Option<Labels> {
        let (lhs, rhs) = (self.labels(&binary.lhs), self.labels(&binary.rhs));
        let (Some(lhs), Some(rhs)) = (lhs.clone(), rhs.clone()) else { return lhs.or(rhs) };
        let modifier = binary.modifier.as_ref();
        let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
        if let Some(LabelModifier::Include(on)) = matching {
            self.there(&on.labels, &lhs);
            self.there(&on.labels, &rhs);
        }
        if binary.op.is_set_operator() {
            let union = binary.op.to_string() == "or";
            return Some(if union { &lhs | &rhs } else { lhs });
        }
        Some(match modifier.map(|modifier| &modifier.card) {
            Some(VectorMatchCardinality::ManyToOne(include)) => {
                self.there(&include.labels, &rhs);
                lhs.into_iter().chain(include.labels.clone()).collect()
            }
            Some(VectorMatchCardinality::OneToMany(include)) => {
                self.there(&include.labels, &lhs);
                rhs.into_iter().chain(include.labels.clone()).collect()
            }
            _ => match matching {
                Some(LabelModifier::Include(on)) => on.labels.iter().cloned().collect(),
                Some(LabelModifier::Exclude(ignoring)) => {
                    lhs.into_iter().filter(|label| !ignoring.labels.contains(label)).collect()
                }
                None => lhs,
            },
        })
    }

    fn call(&self, call: &Call) -> Option<Labels> {
        let args: Vec<&Expr> = call.args.args.iter().map(|arg| &**arg).collect();
        let text = |arg: &Expr| match arg {
            Expr::StringLiteral(literal) => literal.val.clone(),
            other => panic!("{other} is no text: {}", self.query),
        };
        match call.func.name {
            "label_replace" => {
                let mut labels = self.vector(args[0]);
                let from = text(args[3]);
                if !from.is_empty() {
                    self.there(&[from], &labels);
                }
                labels.insert(text(args[1]));
                Some(labels)
            }
            "absent" | "absent_over_time" => {
                self.vector(args[0]);
                Some(Labels::new())
            }
            "histogram_quantile" => {
                let mut labels = self.vector(args[1]);
                self.there(&["le".to_owned()], &labels);
                labels.remove("le");
                Some(labels)
            }
            "scalar" => {
                self.vector(args[0]);
                None
            }
            "vector" => Some(Labels::new()),
            // All others keep the labels of the vector they are given.
            _ => args.iter().find_map(|arg| self.labels(arg)),
        }
    }

    fn selector(&self, selector: &VectorSelector) -> Labels {
        let named = selector.name.clone().or_else(|| {
            let by_label = selector.matchers.matchers.iter().find(|m| m.name == "__name__");
            by_label.map(|matcher| matcher.value.clone())
        });
        let name = named.unwrap_or_else(|| panic!("a selector without name: {}", self.query));
        let labels = self.vocabulary.labels(&name);
        let labels = labels.unwrap_or_else(|| panic!("there is no {name}: {}", self.query));
        for matcher in selector.matchers.matchers.iter().filter(|m| m.name != "__name__") {
            self.there(std::slice::from_ref(&matcher.name), &labels);
            self.value(matcher);
        }
        labels
    }

    /// The values of closed sets that a matcher names, one by one where they are joined by `|`.
    fn value(&self, matcher: &Matcher) {
        let pattern = matches!(matcher.op, MatchOp::Re(_) | MatchOp::NotRe(_));
        let whole = matcher.value.as_str();
        let values: Vec<&str> = if pattern { whole.split('|').collect() } else { vec![whole] };
        for value in values {
            let known = value.is_empty()
                || value.contains(UNKNOWN)
                || self.vocabulary.has_value(&matcher.name, value);
            assert!(known, "{} is never {value:?}: {}", matcher.name, self.query);
        }
    }

    fn there(&self, wanted: &[String], labels: &Labels) {
        for label in wanted {
            assert!(labels.contains(label), "no label {label} in {labels:?}: {}", self.query);
        }
    }
}

/// The labels that the templates of an alert take from it.
pub(crate) fn labels_of_template(text: &str) -> Labels {
    let names = text.split("$labels.").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    names.collect()
}

/// The queries in a template, with [`UNKNOWN`] for what it fills in.
pub(crate) fn queries_of_template(text: &str) -> Vec<String> {
    let actions = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let asking = actions.filter(|action| action.split_whitespace().any(|word| word == "query"));
    let text_of = |action: &str| {
        let (_, rest) = action.split_once('"')?;
        let (query, _) = rest.rsplit_once('"')?;
        Some(query.replace("%q", &format!("\"{UNKNOWN}\"")))
    };
    asking
        .map(|action| text_of(action).unwrap_or_else(|| panic!("a query without text: {action}")))
        .collect()
}
