package rewriter

import (
	"maps"
	"net/http"

	"github.com/consentgate/consentgate/policy"
)

// filteredFields are the response fields that are filtered by consent. NEL goes
// with Report-To.
var filteredFields = newHeaderNames(append([]string{"Set-Cookie"}, hintFields.names...)...)

// Filtered reports whether a response has fields that FilterSetCookie or
// FilterHints look at.
func Filtered(h http.Header) bool { return filteredFields.in(h) }

// HintsDepend reports whether FilterHints would leave other fields to visitors of
// other states. b may be that of any visitor.
func HintsDepend(h http.Header, b policy.Bound, base Base) bool {
	if !hintFields.in(h) {
		return false
	}
	some := maps.Clone(h)
	lines := countLines(some)
	// What the strictest state keeps, all others keep.
	FilterHints(some, b.Undecided(), base, func(policy.Decision, policy.Kind) {})
	return countLines(some) != lines
}

// countLines adds up the lengths of all lines: filters only ever shorten them.
func countLines(h http.Header) int {
	n := 0
	for _, lines := range h {
		n += len(lines)
		for _, line := range lines {
			n += len(line)
		}
	}
	return n
}
