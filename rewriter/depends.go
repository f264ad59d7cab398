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

// DependsOnConsent reports whether the headers of a response, before they are
// filtered, leave differently for visitors of different states. Such a response
// must not be stored for others than the one it was made for, whatever its type.
// b may be that of any visitor.
func DependsOnConsent(h http.Header, b policy.Bound, base Base) bool {
	if !Filtered(h) {
		return false
	}
	some := maps.Clone(h)
	// What the strictest state keeps, all others keep.
	none := b.Undecided()
	depends := false
	FilterSetCookie(some, none, nil, func(category string, a policy.Action) {
		if a == policy.Block && category != Unclassified {
			depends = true
		}
	})
	lines := countLines(some)
	ignore := func(policy.Decision, policy.Kind) {}
	FilterHints(some, none, base, ignore)
	return depends || countLines(some) != lines
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
