package caddymodule

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/consent/api"
	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter"
)

// An outcome is what became of a response. Its values form a closed set.
type outcome string

const (
	outcomeRewritten outcome = "rewritten" // an HTML page whose bytes went through the rewriter
	outcomeGranted   outcome = "granted"   // an HTML page sent unchanged: nothing is held back from this visitor
	outcomePassed    outcome = "passed"    // not a page: only its headers were filtered
	outcomeBypassed  outcome = "bypassed"  // a page sent unchanged under an enforcing Content-Security-Policy
	outcomeUnguarded outcome = "unguarded" // a page sent unchanged with nothing enforced: failure_policy observe
	outcomeBlocked   outcome = "blocked"   // a page that could not be rewritten; the visitor got an error page
	outcomeAborted   outcome = "aborted"   // broken off after it had begun
	outcomeFailed    outcome = "failed"    // the handlers behind returned an error before any output
	outcomeOwn       outcome = "own"       // answered by the gateway itself
)

var outcomes = [...]outcome{
	outcomeRewritten, outcomeGranted, outcomePassed, outcomeBypassed,
	outcomeUnguarded, outcomeBlocked, outcomeAborted, outcomeFailed, outcomeOwn,
}

// regime is the rule under which visitors are asked: nothing before consent.
const regime = "opt-in"

// metrics counts what the handlers of one configuration did. It is one
// collector, so that registering it either succeeds as a whole or finds the one
// a sibling handler registered.
type metrics struct {
	responses    *prometheus.CounterVec
	pageViews    *prometheus.CounterVec
	choices      *prometheus.CounterVec
	resources    *prometheus.CounterVec
	cookies      *prometheus.CounterVec
	unclassified *prometheus.CounterVec
	bypasses     *prometheus.CounterVec
	noTransform  *prometheus.CounterVec
	overlong     *prometheus.CounterVec
	bytes        *prometheus.CounterVec
	duration     prometheus.Histogram
	policyInfo   *prometheus.GaugeVec
	memory       prometheus.GaugeFunc

	cookieProblems *prometheus.CounterVec
	byOutcome      map[outcome]prometheus.Counter // of responses, looked up once
	byCookie       map[cookieKey]prometheus.Counter

	all []prometheus.Collector

	mu       sync.Mutex
	reported map[any]bool // servers whose set-up was reported on
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caddy", Subsystem: "consent", Name: name, Help: help,
		}, labels)
	}
	m := &metrics{
		responses: counter("responses_total",
			"Responses that passed through the gateway, by what became of them.", "outcome"),
		pageViews: counter("page_views_total",
			"Pages (successful HTML answers to navigations) by what the visitor had chosen.", "state", "regime"),
		choices: counter("choices_total",
			"Choices of visitors, one for each optional category.", "category", "action", "method", "regime"),
		resources: counter("resources_total",
			"Third-party resources found in pages, by vendor, kind and what was done.", "vendor", "kind", "action"),
		cookies: counter("cookies_total",
			"Cookies seen in requests and responses, by category and what was done.", "direction", "category", "action"),
		unclassified: counter("unclassified_total",
			"Third-party resources that no vendor of the policy accounts for.", "kind"),
		bypasses: counter("bypasses_total",
			"Pages that could not be or were not rewritten, by reason and what was done with them.", "reason", "action"),
		noTransform: counter("no_transform_total",
			"Pages the site marked no-transform, by whether that was honored.", "honored"),
		overlong: counter("overlong_total",
			"Tags longer than max_hold, and inline scripts longer than max_inline, judged by what was seen of them.", "limit"),
		bytes: counter("rewrite_bytes_total",
			"Bytes of pages that went into and came out of the rewriter.", "direction"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "caddy", Subsystem: "consent", Name: "rewrite_duration_seconds",
			Help:    "Time spent decoding and rewriting one page, without waiting for the site or the visitor.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2.5, 12),
		}),
		policyInfo: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "caddy", Subsystem: "consent", Name: "policy_info",
			Help: "The policies in force; always 1.",
		}, []string{"version", "hash"}),
		memory: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "caddy", Subsystem: "consent", Name: "memory_bytes",
			Help: "Memory that the pages being rewritten hold, in all of this process; see max_memory.",
		}, func() float64 { return float64(inHand.Load()) }),
		cookieProblems: counter("cookie_problems_total",
			"Requests whose consent cookie did not count, by reason.", "reason"),
		reported: make(map[any]bool),
	}
	m.all = []prometheus.Collector{
		m.responses, m.pageViews, m.choices, m.resources, m.cookies, m.unclassified,
		m.bypasses, m.noTransform, m.overlong, m.bytes, m.duration, m.policyInfo,
		m.memory, m.cookieProblems,
	}
	m.zero()
	return m
}

// zero makes the small closed sets appear at once, so that their first increase
// counts in rates.
func (m *metrics) zero() {
	m.byCookie = make(map[cookieKey]prometheus.Counter)
	m.know(rewriter.CookieEssential, policy.Allow)
	m.know(rewriter.Unclassified, policy.Allow)
	m.byOutcome = make(map[outcome]prometheus.Counter, len(outcomes))
	for _, o := range outcomes {
		m.byOutcome[o] = m.responses.WithLabelValues(string(o))
	}
	for _, r := range reasons {
		for _, what := range remedies {
			m.bypasses.WithLabelValues(string(r), string(what))
		}
	}
	for p := consent.Malformed; p < consent.NumProblems; p++ {
		m.cookieProblems.WithLabelValues(p.String())
	}
	for k := range policy.NumKinds {
		m.unclassified.WithLabelValues(policy.Kind(k).String())
	}
	for _, level := range []string{"undecided", "denied", "partial", "granted"} {
		m.pageViews.WithLabelValues(level, regime)
	}
	for _, direction := range []string{"in", "out"} {
		m.bytes.WithLabelValues(direction)
	}
	for _, limit := range []string{"max_hold", "max_inline"} {
		m.overlong.WithLabelValues(limit)
	}
	for _, honored := range []string{"true", "false"} {
		m.noTransform.WithLabelValues(honored)
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.all {
		c.Collect(ch)
	}
}

// registerMetrics registers the metrics in reg, which every loaded configuration
// has its own of, or returns those that another handler of the same
// configuration registered.
func registerMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := newMetrics()
	err := reg.Register(m)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if m, ok = already.ExistingCollector.(*metrics); ok {
			return m, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// outcome counts the responses of one outcome.
func (m *metrics) outcome(o outcome) prometheus.Counter { return m.byOutcome[o] }

// A direction is the way a cookie takes.
type direction string

const (
	towardsTheSite    direction = "request"
	towardsTheVisitor direction = "response"
)

// cookieTooMany stands for the category where a request has too many cookies to be
// looked at.
const cookieTooMany = "too_many"

type cookieKey struct {
	way      direction
	category string
	action   policy.Action
}

// know makes the series of a category of cookies appear at once, and looks its
// counters up beforehand. It must not be called once the handlers serve.
func (m *metrics) know(category string, actions ...policy.Action) {
	for _, way := range []direction{towardsTheSite, towardsTheVisitor} {
		for _, a := range actions {
			m.byCookie[cookieKey{way, category, a}] = m.cookies.WithLabelValues(string(way), category, a.String())
		}
	}
}

// cookie counts the cookies of one direction, category and action.
func (m *metrics) cookie(way direction, category string, a policy.Action) prometheus.Counter {
	if c := m.byCookie[cookieKey{way, category, a}]; c != nil {
		return c
	}
	return m.cookies.WithLabelValues(string(way), category, a.String())
}

// first reports whether it is called with key for the first time in this
// configuration.
func (m *metrics) first(key any) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reported[key] {
		return false
	}
	m.reported[key] = true
	return true
}

// countPage counts what the rewriter did to one page.
func (m *metrics) countPage(rep *rewriter.Report, spent time.Duration) {
	for _, c := range rep.Counts {
		m.resources.WithLabelValues(c.Vendor, c.Kind.String(), c.Action.String()).Add(float64(c.N))
		if c.Vendor == rewriter.Unclassified {
			m.unclassified.WithLabelValues(c.Kind.String()).Add(float64(c.N))
		}
	}
	m.overlong.WithLabelValues("max_hold").Add(float64(rep.Overlong))
	m.overlong.WithLabelValues("max_inline").Add(float64(rep.LateInline))
	m.bytes.WithLabelValues("in").Add(float64(rep.BytesIn))
	m.bytes.WithLabelValues("out").Add(float64(rep.BytesOut))
	m.duration.Observe(spent.Seconds())
}

// countHeader counts a resource named by a header field.
func (m *metrics) countHeader(d policy.Decision, k policy.Kind) {
	switch {
	case d.Vendor != nil:
		m.resources.WithLabelValues(d.Vendor.ID, k.String(), d.Action.String()).Inc()
	case d.Reason == policy.Unclassified || d.Action == policy.Block:
		m.resources.WithLabelValues(rewriter.Unclassified, k.String(), d.Action.String()).Inc()
		m.unclassified.WithLabelValues(k.String()).Inc()
	}
}

// countChoice counts one act of a visitor: what it means for each category the
// visitor decides on.
func (h *Handler) countChoice(c api.Choice) {
	sc := h.policy.Scheme()
	optional := sc.Optional()
	for i := range sc.Categories {
		if !optional.Has(i) {
			continue
		}
		h.metrics.choices.WithLabelValues(sc.Categories[i].ID, choiceAction(c, i), c.Method, regime).Inc()
	}
}

// choiceAction says what a choice did to the category at position i. Choosing
// "withdraw" withdraws what was granted and denies the rest; so does a form that
// leaves out a category granted before.
func choiceAction(c api.Choice, i int) string {
	switch {
	case chosen(c.Granted).Has(i):
		return "grant"
	case chosen(c.Before).Has(i):
		return "withdraw"
	}
	return "deny"
}

func chosen(s consent.State) consent.Set {
	if !s.Decided {
		return 0
	}
	return s.Chosen
}

// Interface guards
var _ prometheus.Collector = (*metrics)(nil)
