package protocol

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// A row is one demand on the response writer, as the design numbers them.
type row struct {
	id, what string
	run      func(e env)
}

var rows = []row{
	{"A1", "events arrive one by one, whatever stands around", rowStreams},
	{"A2", "a flush before the first byte does not settle the status", rowEarlyFlush},
	{"A3", "what a file server copies with ReadFrom is rewritten, or passes whole", rowReadFrom},
	{"A4", "informational answers pass in order and decide nothing", rowInformational},
	{"A5", "the final answer after a 103 has the gateway's headers and those of outer handlers", rowAfterHints},
	{"A6", "Link is filtered in a 103 and in the final answer, byte for byte", rowLink},
	{"A7", "HTTP/1.0 gets no informational answer", rowOld},
	{"A8", "a site that breaks off a chunked page: an error, no held bytes, counted", rowBrokenChunks},
	{"A9", "a site that sends less than it announced: not complete", rowBrokenLength},
	{"A10", "what the end of a page cuts is not let out live", rowCutTag},
	{"A11", "an error page is held back too, where the directive stands in handle_errors", rowErrorPage},
	{"A12", "HEAD has the headers of GET", rowHead},
	{"A13", "answers without a body get none; their headers are filtered", rowNoBody},
	{"A14", "a page that changes loses its length, one that does not keeps it", rowLength},
	{"A15", "pages are never served in slices, other files are", rowRange},
	{"A16", "trailers pass, but not digests of other bytes and no cookies", rowTrailers},
	{"A17", "the site is asked only for codings that can be undone", rowAcceptEncoding},
	{"A18", "whatever the coding and its state: rewritten, or not readable, never in between", rowCodings},
	{"A19", "encode stands outside; what templates and intercept make is rewritten", rowOrder},
	{"A20", "what is decided leaves at once", rowNoDelay},
	{"A21", "flushes from a timer", rowTimer},
	{"A22", "when the visitor goes, the site is told", rowGone},
	{"A23", "the same bytes and headers over every protocol; several lines of cookies", rowSame},
	{"A24", "no-transform does not protect a page", rowNoTransform},
	{"A25", "what is no page is never looked into", rowTypes},
}

// excluded are combinations that do not exist. An empty field stands for all.
var excluded = []struct {
	row   string
	proto gate.Proto
	stack string
	why   string
}{
	{"A7", gate.H2, "", "there is no HTTP/1.0 over HTTP/2"},
	{"A7", gate.H3, "", "there is no HTTP/1.0 over HTTP/3"},
	{"A19", "", "bare", "nothing that changes bodies stands around the gateway or inside it"},
	{"A19", "", "log", "as bare"},
	{"A19", "", "forward_auth", "as bare"},
	{"A19", "", "deferred", "as bare"},
	{"A19", "", "metrics", "as bare"},
	{"A20", "", "templates", "reads pages whole before it answers"},
	{"A22", "", "templates", "reads pages whole: an endless one never begins"},
}

func isExcluded(id string, p gate.Proto, s string) bool {
	for _, x := range excluded {
		if x.row == id && (x.proto == "" || x.proto == p) && (x.stack == "" || x.stack == s) {
			return true
		}
	}
	return false
}

// The rows, over every protocol, with every stack.
func TestRows(t *testing.T) {
	for _, group := range []struct {
		name, global string
		stacks       []stack
	}{
		{"main", "", stacks},
		{"measured", measuredGlobal, measured},
	} {
		t.Run(group.name, func(t *testing.T) {
			w := newWorld(t, group.stacks, group.global)
			ran := 0
			for _, r := range rows {
				t.Run(r.id, func(t *testing.T) {
					each(t, w, group.stacks, func(e env) {
						if isExcluded(r.id, e.p, e.s.name) {
							return
						}
						ran++
						r.run(e)
						if e.Failed() {
							e.Logf("%s: %s", r.id, r.what)
						}
					})
				})
			}
			t.Logf("%d rows, %d combinations", len(rows), ran)
			noPanic(t, w)
		})
	}
}

// noPanic fails if anything but the end of a response that must not look
// complete made a handler panic: that one, net/http keeps silent about. Lines
// with one of the known words are passed over.
func noPanic(t *testing.T, w *world, known ...string) {
	t.Helper()
	for line := range strings.Lines(w.Log()) {
		if strings.Contains(line, "panic") && !slices.ContainsFunc(known, func(word string) bool { return strings.Contains(line, word) }) {
			t.Errorf("logged: %s", line)
		}
	}
}

// Every row of the design stands in the table, once and in order, and every
// exclusion is about a combination that would run without it.
func TestRowsComplete(t *testing.T) {
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprintf("A%d", i+1))
	}
	var got []string
	for _, r := range rows {
		got = append(got, r.id)
		if r.what == "" || r.run == nil {
			t.Errorf("%s says or does nothing", r.id)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	names := map[string]bool{"": true}
	for _, s := range slices.Concat(stacks, measured) {
		names[s.name] = true
	}
	protos := map[gate.Proto]bool{"": true}
	for p := range maps.Keys(protoNames) {
		protos[p] = true
	}
	for _, x := range excluded {
		if !slices.Contains(want, x.row) || !names[x.stack] || !protos[x.proto] || x.why == "" || x.proto == "" && x.stack == "" {
			t.Errorf("exclusion %+v is about nothing, about a whole row, or has no reason", x)
		}
	}
}
