package rewriter

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/policy"
)

// traced rewrites doc in pieces and returns what was told, in the order of the
// document. Text and comments come in pieces, so they are left out.
func traced(t *testing.T, o Options, doc []byte, size int) (out []byte, events []TraceEvent, r *Report, ok bool) {
	t.Helper()
	o.Trace = func(ev TraceEvent) {
		if ev.Sort != TraceText {
			events = append(events, ev)
		}
	}
	out, r, ok = tryRewriteWith(o, doc, size, testPage(denied()))
	slices.SortStableFunc(events, func(a, b TraceEvent) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Inner, b.Inner), cmp.Compare(a.Sort, b.Sort))
	})
	return out, events, r, ok
}

func traceLines(events []TraceEvent) string {
	var b strings.Builder
	for _, ev := range events {
		id := ""
		if ev.Decision.Vendor != nil {
			id = ev.Decision.Vendor.ID
		}
		fmt.Fprintf(&b, "%d-%d %d+%d %v <%s> in %q %v %s %s %v %v %s %v %s\n", ev.Start, ev.End, ev.Depth, ev.Inner, ev.Sort, ev.Element,
			ev.Within, ev.Unsure, ev.Attr, ev.URL, ev.Kind, ev.Decision.Action, id, ev.Decision.Reason, ev.Why)
	}
	return b.String()
}

// TestTraceChangesNothing: a document comes out the same, and is reported the
// same, whether or not somebody watches.
func TestTraceChangesNothing(t *testing.T) {
	docs := slices.Concat(hostile, regressions, inertDocs)
	for _, c := range treeCases(t) {
		docs = append(docs, c.prime()+c.data)
	}
	for _, in := range docs {
		for _, size := range []int{0, 1, 7} {
			want, r, ok := tryRewrite([]byte(in), size, testPage(denied()))
			got, _, tr, ok2 := traced(t, Options{}, []byte(in), size)
			if ok != ok2 || !bytes.Equal(got, want) {
				t.Errorf("size %d: %q\nuntraced %q\ntraced   %q", size, in, want, got)
			} else if ok && fmt.Sprint(*r) != fmt.Sprint(*tr) {
				t.Errorf("size %d: %q\nuntraced %v\ntraced   %v", size, in, *r, *tr)
			}
		}
	}
}

// TestTraceTellsWhatIsHeld: for every vendor and kind that is counted as held
// there is an event that says so, at a place in the document, and however the
// document is cut the same is told.
func TestTraceTellsWhatIsHeld(t *testing.T) {
	pad := strings.Repeat("x ", minHold)
	long := []string{`<img src="https://www.facebook.com/tr?` + pad + `">`, `<style>@import "https://www.facebook.com/` + pad + `";</style>`}
	for _, s := range hostile {
		if i := strings.IndexAny(s, " \t\n\f"); i > 0 {
			long = append(long, s[:i]+" "+pad+s[i:])
		}
	}
	small := Options{MaxHold: minHold, MaxInline: minHold}
	for i, in := range slices.Concat(hostile, regressions, long) {
		o := Options{}
		if i >= len(hostile)+len(regressions) {
			o = small
		}
		_, whole, r, ok := traced(t, o, []byte(in), 0)
		if !ok {
			continue
		}
		said := map[string]bool{}
		for _, ev := range whole {
			if ev.Start < 0 || ev.Start > int64(len(in)) || ev.End > int64(len(in)) {
				t.Errorf("no such place: %+v\n%s", ev, in)
			}
			if ev.Sort == TraceStart && ev.Depth == 0 && (in[ev.Start] != '<' || !strings.HasPrefix(lower([]byte(in[ev.Start+1:])), ev.Element)) {
				t.Errorf("no <%s> at %d\n%s", ev.Element, ev.Start, in)
			}
			long := ev.Sort == TraceLong && ev.Element == "script"
			if ev.Decision.Action != policy.Block || ev.Sort < TraceLong || ev.Sort == TraceLong && !long {
				continue
			}
			id := Unclassified
			if ev.Decision.Vendor != nil {
				id = ev.Decision.Vendor.ID
			}
			said[id] = true
		}
		for _, c := range r.Counts {
			if c.Action == policy.Block && !said[c.Vendor] {
				t.Errorf("%s %s is held and not told of: %.300s\n%s", c.Vendor, c.Kind, in, traceLines(whole))
			}
		}
		for _, size := range []int{1, 3} {
			_, events, _, _ := traced(t, o, []byte(in), size)
			if o.MaxHold == 0 && traceLines(events) != traceLines(whole) {
				t.Errorf("size %d: %s\nwhole\n%spieces\n%s", size, in, traceLines(whole), traceLines(events))
			}
		}
	}
}
