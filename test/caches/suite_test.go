package caches

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentgate/consentgate/test/gate"
)

// An outcome is what a client saw of one step, and what it cost.
type outcome struct {
	status int
	body   string // the mark of the body; of a file all of it
	asked  int    // requests the site got
	hit    bool
	header http.Header
}

// suiteTopologies have caches that serve nothing stale, so that a step has one
// outcome.
var suiteTopologies = []topology{
	{name: "nginx > gateway", before: nginxPlain, oneLine: true},
	{name: "varnish > gateway", before: varnishExact},
	{name: "gateway > nginx", below: nginxPlain, oneLine: true},
	{name: "gateway > varnish", below: varnishExact},
}

var varnishExact = varnish(hashAll, "default_grace=0", "default_keep=600")

// Whatever a site says about storing, and whatever a client asks: for a file a
// cache with the gateway does exactly what it does without, and for a page
// nothing worse.
func TestSuitePrivate(t *testing.T) {
	if len(scenarios) < 40 {
		t.Fatalf("only %d scenarios", len(scenarios))
	}
	runSuite(t, private)
}

func runSuite(t *testing.T, m mode) {
	explained := make(map[string]bool)
	var lines []string
	for _, top := range suiteTopologies {
		t.Run(strings.ReplaceAll(top.name, " > ", "-"), func(t *testing.T) {
			without, with := play(t, top, bare), play(t, top, m)
			rows, equal, better := 0, 0, 0
			for i, sc := range scenarios {
				if sc.lines && top.oneLine {
					continue
				}
				rows += 2
				for _, kind := range []string{"page", "file"} {
					key := kind + " " + strconv.Itoa(i)
					switch faults, gain := compare(top, m, &sc, kind, without[key], with[key]); {
					case len(faults) > 0 && kind == "page" && sc.pages != "":
						explained[sc.name] = true
					case len(faults) > 0:
						t.Errorf("%s, %s: %s", kind, sc.name, strings.Join(faults, "; "))
					case gain:
						better++
					default:
						equal++
					}
				}
			}
			lines = append(lines, fmt.Sprintf("| %s | %s | %d | %d | %d |", top.name, m, rows, equal+better, better))
		})
	}
	for _, sc := range scenarios {
		if sc.pages != "" && !explained[sc.name] {
			t.Errorf("%s: nothing is worse: remove the reason", sc.name)
		}
	}
	t.Log("\n| caches | mode | rows | no worse | better |\n| --- | --- | --- | --- | --- |\n" + strings.Join(lines, "\n"))
}

// compare returns what is worse with the gateway, and whether anything is better.
func compare(top topology, m mode, sc *scenario, kind string, without, with []outcome) (faults []string, gain bool) {
	keeps := m == shared || top.before == nil // a cache may store pages
	for i := range without {
		a, b := without[i], with[i]
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("step %d: ", i+1)+fmt.Sprintf(format, args...))
		}
		// The error page of a cache below is a page.
		if kind == "file" && !(top.below != nil && strings.HasPrefix(a.header.Get("Content-Type"), "text/html")) {
			if a.status != b.status || a.body != b.body || a.asked != b.asked || a.hit != b.hit || !sameFields(a.header, b.header) {
				fault("not the same\nwith    %v\nwithout %v", b, a)
			}
			continue
		}
		switch {
		case a.status == b.status:
		case a.status == http.StatusOK && b.status == http.StatusNotModified:
			gain = true // a tag that the cache missed among others that are not ours
		case !keeps && b.status == http.StatusOK && slices.Contains(ofStored, a.status):
			// Nothing is stored that the cache could answer from by itself.
		default:
			fault("status %d, without the gateway %d", b.status, a.status)
		}
		if a.status == b.status && a.status != http.StatusPartialContent && a.body != b.body {
			fault("body %q, without the gateway %q", b.body, a.body)
		}
		switch {
		case keeps && b.asked > a.asked:
			fault("the site was asked %d times, without the gateway %d", b.asked, a.asked)
		case !keeps && b.hit:
			fault("out of a cache: %v", b.header)
		case keeps && b.asked < a.asked:
			gain = true
		}
	}
	return faults, gain
}

// ofStored are the statuses a cache makes of a stored 200.
var ofStored = []int{http.StatusNotModified, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable}

// sameFields compares headers but for what differs from answer to answer.
func sameFields(a, b http.Header) bool {
	a, b = a.Clone(), b.Clone()
	for _, h := range []http.Header{a, b} {
		for _, field := range []string{"Date", "Age", "X-Varnish"} {
			h.Del(field)
		}
	}
	for field := range b {
		if !slices.Equal(a[field], b[field]) {
			return false
		}
	}
	return len(a) == len(b)
}

// A stage is a stack the suite is played on.
type stage struct {
	s       *stack
	changed atomic.Bool
	last    map[string]http.Header // of the last answer with a validator, by path
}

// play runs all scenarios on a stack and returns their outcomes by kind and
// index.
func play(t *testing.T, top topology, m mode) map[string][]outcome {
	t.Helper()
	p := &stage{last: make(map[string]http.Header)}
	o := listen(t, func(w http.ResponseWriter, r *http.Request) {
		kind, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		i, err := strconv.Atoi(strings.TrimSuffix(rest, ".css"))
		if err != nil || i >= len(scenarios) {
			http.NotFound(w, r)
			return
		}
		scenarios[i].thing(kind, r.URL.Path, p.changed.Load()).answer(w, r)
	})
	p.s = build(t, top, m, o)
	outcomes := make(map[string][]outcome)
	for _, late := range []bool{false, true} {
		if late {
			// Twice what anything is kept for that is to be stale. What is to be
			// fresh is kept for minutes.
			time.Sleep(2100 * time.Millisecond)
			p.changed.Store(true)
		}
		for i, sc := range scenarios {
			for _, kind := range []string{"page", "file"} {
				key := kind + " " + strconv.Itoa(i)
				first := slices.IndexFunc(sc.steps, func(st step) bool { return st.wait })
				steps := sc.steps
				switch {
				case first < 0 && late:
					continue
				case first >= 0 && late:
					steps = steps[first:]
				case first >= 0:
					steps = steps[:first]
				}
				for _, st := range steps {
					if sc.lines && top.oneLine {
						continue
					}
					outcomes[key] = append(outcomes[key], p.take(t, kind, i, st))
				}
			}
		}
	}
	return outcomes
}

// thing returns what the site has for a scenario.
func (sc *scenario) thing(kind, path string, late bool) *thing {
	d := &thing{path: path, kind: "text/css", head: sc.head, etag: sc.tag, date: sc.date, gzip: sc.gzip, by: sc.by, code: sc.code}
	if kind == "page" {
		d.kind = pageType
	}
	if late && sc.changes {
		d.made = " changed"
		if d.etag != "" {
			d.etag = strings.TrimSuffix(d.etag, `"`) + `-changed"`
		}
	}
	return d
}

// take sends one request.
func (p *stage) take(t *testing.T, kind string, i int, st step) outcome {
	t.Helper()
	path, accept := fmt.Sprintf("/page/%d", i), "text/html"
	if kind == "file" {
		path, accept = fmt.Sprintf("/file/%d.css", i), "text/css,*/*;q=0.1"
	}
	fields := []string{"Accept", accept}
	if !slices.Contains(st.fields, "Accept-Encoding") {
		fields = append(fields, "Accept-Encoding", "identity")
	}
	known := p.last[path]
	for j := 0; j < len(st.fields); j += 2 {
		value := st.fields[j+1]
		for mark, field := range map[string]string{"{tag}": "ETag", "{date}": "Last-Modified"} {
			if strings.Contains(value, mark) {
				value = strings.ReplaceAll(value, mark, known.Get(field))
				if known.Get(field) == "" {
					value = ""
				}
			}
		}
		if value = strings.ReplaceAll(value, "W/W/", "W/"); value != "" {
			fields = append(fields, st.fields[j], value)
		}
	}
	method := st.method
	if method == "" {
		method = http.MethodGet
	}
	before, _ := p.s.origin.count()
	a := gate.Ask(t, p.s.client, method, p.s.base+path, fields...)
	after, _ := p.s.origin.count()
	if a.Header.Get("ETag") != "" || a.Header.Get("Last-Modified") != "" {
		p.last[path] = a.Header.Clone()
	}
	body := a.Body
	if body != "" {
		var err error
		if body, err = decode(a); err != nil {
			t.Errorf("%s %s: %v", method, path, err)
		}
	}
	if _, rest, ok := strings.Cut(body, "<p>"); ok && kind == "page" {
		body, _, _ = strings.Cut(rest, "</p>")
	}
	return outcome{a.StatusCode, body, after - before, hit(a.Header), a.Header}
}
