package rewriter

import (
	"net/http"
	"strings"

	"github.com/consentgate/consentgate/policy"
)

// filteredFields are the response fields that are filtered by consent.
var filteredFields = [...]string{
	"Set-Cookie", "Link", "Refresh", "Reporting-Endpoints", "Report-To", "NEL", "Speculation-Rules",
	"Attribution-Reporting-Register-Source", "Attribution-Reporting-Register-Trigger",
	"Attribution-Reporting-Register-OS-Source", "Attribution-Reporting-Register-OS-Trigger",
	"Observe-Browsing-Topics",
}

// DependsOnConsent reports whether the headers of a response, before they are
// filtered, leave differently for visitors of different states. Such a response
// must not be stored for others than the one it was made for, whatever its type.
// b may be that of any visitor.
func DependsOnConsent(h http.Header, b policy.Bound, base Base) bool {
	var some http.Header
	for key, lines := range h {
		name := strings.TrimPrefix(key, trailerPrefix)
		for _, field := range filteredFields {
			if len(field) == len(name) && headerFold(field, name) {
				if some == nil {
					some = make(http.Header)
				}
				some[key] = lines
			}
		}
	}
	if some == nil {
		return false
	}
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
	FilterLink(some, none, base, ignore)
	FilterRefresh(some, none, base, ignore)
	FilterReporting(some, none, base, ignore)
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
