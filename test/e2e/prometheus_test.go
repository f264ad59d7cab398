package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// countedPage is a page whose resources can be counted by hand.
const countedPage = `<!DOCTYPE html>
<title>Counted</title>
<script src="https://connect.facebook.net/en_US/fbevents.js"></script>
<img src="https://www.facebook.com/tr?id=1&amp;ev=PageView&amp;noscript=1" alt="">
<script async src="https://www.googletagmanager.com/gtag/js?id=G-C0UNT3D"></script>
<iframe src="https://www.youtube.com/embed/counted"></iframe>
<p>Four resources of three vendors.</p>
`

// countedSite serves the page with two cookies to strip and one to keep.
func countedSite() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Add("Set-Cookie", "_ga=GA1.1.1.1; Path=/")
		h.Add("Set-Cookie", "_fbp=fb.1.1.1; Path=/")
		h.Add("Set-Cookie", "sessionid=1; Path=/; HttpOnly")
		fmt.Fprint(w, countedPage)
	})
}

// The README's queries, asked of a real Prometheus that scrapes the gateway,
// return what this test caused.
func TestPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		missing(t, "prometheus is not installed (apt-get install prometheus)")
	}
	site := startUpstream(t, countedSite())
	g := startGateway(t, map[string]string{siteHost: site.addr})
	api := startPrometheus(t, program, strings.TrimPrefix(strings.TrimSuffix(g.metrics, "/metrics"), "http://"))

	const base = "http://" + siteHost
	navigation := func(cookie string) http.Header {
		h := http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
		if cookie != "" {
			h.Set("Cookie", cookie)
		}
		return h
	}
	// Three views before a choice, one of them with cookies of an earlier time.
	for _, cookie := range []string{"", "", "_ga=GA1.1.1.1; sessionid=1; _fbp=fb.1.1.1"} {
		g.get(t, base+"/", navigation(cookie))
	}
	// Five choices: two of everything, one of nothing, one of analytics; one of
	// the first two is withdrawn.
	first := g.choose(t, base, "", url.Values{"action": {"grant-all"}})
	all := g.choose(t, base, "", url.Values{"action": {"grant-all"}})
	g.choose(t, base, "", url.Values{"action": {"deny-all"}})
	analytics := g.choose(t, base, "", url.Values{"action": {"save"}, "category": {"analytics"}})
	g.choose(t, base, first, url.Values{"action": {"withdraw"}})
	// Two views of a visitor who granted analytics, one of one who granted all.
	g.get(t, base+"/", navigation(analytics))
	g.get(t, base+"/", navigation(analytics))
	g.get(t, base+"/", navigation(all))

	queries := readmeQueries(t)
	for _, want := range []struct {
		about  string
		metric string
		label  string
		values map[string]float64
	}{
		{"opt-in rate by category", "caddy_consent_choices_total", "category", map[string]float64{"functional": 2. / 4, "analytics": 3. / 4, "marketing": 2. / 4}},
		{"held resources by vendor", "caddy_consent_resources_total", "vendor", map[string]float64{"meta-pixel": 3*2 + 2*2, "google-analytics-4": 3, "youtube": 3 + 2}},
		{"stripped cookies", "caddy_consent_cookies_total", "category", map[string]float64{"analytics": 3 + 1, "marketing": 3 + 2 + 1}},
	} {
		query := queries[want.metric]
		if query == "" {
			t.Errorf("the README has no query of %s (%s)", want.metric, want.about)
			continue
		}
		var got map[string]float64
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
			if got = ask(t, api, query, want.label); same(got, want.values) {
				break
			}
		}
		if !same(got, want.values) {
			t.Errorf("%s: %s\n got %v\nwant %v", want.about, query, got, want.values)
		}
		t.Logf("%s: %v", want.about, got)
	}
}

// same reports whether two results agree; series at zero count as absent.
func same(a, b map[string]float64) bool {
	nonzero := func(m map[string]float64) map[string]float64 {
		m = maps.Clone(m)
		maps.DeleteFunc(m, func(_ string, v float64) bool { return v == 0 })
		return m
	}
	return maps.EqualFunc(nonzero(a), nonzero(b), func(x, y float64) bool { return math.Abs(x-y) < 1e-9 })
}

// readmeQueries returns the PromQL of the README by the metric it is about.
func readmeQueries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	queries := make(map[string]string)
	parts := strings.Split(string(text), "```promql\n")
	for _, part := range parts[1:] {
		block, _, _ := strings.Cut(part, "```")
		for _, query := range strings.Split(block, "\n\n") {
			var lines []string
			for _, line := range strings.Split(query, "\n") {
				if !strings.HasPrefix(strings.TrimSpace(line), "#") && strings.TrimSpace(line) != "" {
					lines = append(lines, line)
				}
			}
			for _, metric := range []string{"caddy_consent_choices_total", "caddy_consent_resources_total", "caddy_consent_cookies_total"} {
				if q := strings.Join(lines, "\n"); strings.Contains(q, metric) && queries[metric] == "" {
					queries[metric] = q
				}
			}
		}
	}
	return queries
}

// startPrometheus scrapes the target every second and returns the base URL of
// the HTTP API.
func startPrometheus(t *testing.T, program, target string) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: consentgate\n    static_configs:\n      - targets: ['%s']\n", target)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	var said strings.Builder
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	api := "http://" + addr
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("prometheus ended: %v\n%s", err, said.String())
		default:
		}
		if resp, err := http.Get(api + "/-/ready"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return api
			}
		}
	}
	t.Fatal("prometheus did not become ready in 30 s")
	return ""
}

// ask runs an instant query and returns its values by one label.
func ask(t *testing.T, api, query, label string) map[string]float64 {
	t.Helper()
	resp, err := http.Get(api + "/api/v1/query?" + url.Values{"query": {query}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "success" {
		t.Fatalf("%s: %s", query, answer.Error)
	}
	values := make(map[string]float64)
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		values[r.Metric[label]] += v
	}
	return values
}
