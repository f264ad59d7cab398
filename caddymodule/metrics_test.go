package caddymodule

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter"
)

// Names and help texts keep to Prometheus' conventions.
func TestMetricNames(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m, err := registerMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	m.policyInfo.WithLabelValues("1", "x").Set(1)
	m.choices.WithLabelValues("marketing", "grant", "form", regime)
	m.cookies.WithLabelValues("request", "marketing", "block")
	m.countPage(&rewriter.Report{Counts: []rewriter.Count{{Vendor: rewriter.Unclassified, Kind: policy.Script, Action: policy.Block, N: 2}}}, 0)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 14 {
		t.Errorf("%d families, %v", len(families), err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "caddy_consent_") {
			t.Errorf("name %s", f.GetName())
		}
	}
	if n := testutil.ToFloat64(m.unclassified.WithLabelValues("script")); n != 2 {
		t.Errorf("unclassified scripts: %v", n)
	}
}

// The second handler of a configuration counts into the metrics of the first.
func TestMetricsShared(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	one, err := registerMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	two, err := registerMetrics(reg)
	if err != nil || one != two {
		t.Errorf("%p and %p, %v", one, two, err)
	}
	other, err := registerMetrics(prometheus.NewPedanticRegistry())
	if err != nil || other == one {
		t.Errorf("another configuration shares them: %v", err)
	}
	reg = prometheus.NewPedanticRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "caddy_consent_responses_total", Help: "Someone else's."}))
	if _, err := registerMetrics(reg); err == nil {
		t.Error("a foreign metric of our name was accepted")
	}
}
