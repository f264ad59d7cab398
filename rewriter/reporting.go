package rewriter

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/consentgate/consentgate/policy"
)

// The fields of FilterReporting, by what is in them: lists with addresses in
// quotes, and JSON.
var (
	reportingLists = [...]string{
		"Reporting-Endpoints", "Speculation-Rules",
		"Attribution-Reporting-Register-OS-Source", "Attribution-Reporting-Register-OS-Trigger",
	}
	reportingObjects = [...]string{"Attribution-Reporting-Register-Source", "Attribution-Reporting-Register-Trigger"}
)

var hintFields = newHeaderNames(slices.Concat(reportingLists[:], reportingObjects[:],
	[]string{"Link", "Refresh", "Report-To", "Observe-Browsing-Topics"})...)

// FilterHints is FilterLink, FilterRefresh and FilterReporting.
func FilterHints(h http.Header, b policy.Bound, base Base, count func(policy.Decision, policy.Kind)) {
	if b.Unrestricted() || !hintFields.in(h) {
		return
	}
	FilterLink(h, b, base, count)
	FilterRefresh(h, b, base, count)
	FilterReporting(h, b, base, count)
}

// FilterRefresh removes Refresh lines that would take the visitor to what b
// blocks. No content security policy stops them.
func FilterRefresh(h http.Header, b policy.Bound, base Base, count func(policy.Decision, policy.Kind)) {
	if b.Unrestricted() {
		return
	}
	j := newHeaderJudge(b, base, count)
	filterHeaderLines(h, "Refresh", func(line string) string {
		url, ok := refreshURL([]byte(line))
		if ok && j.blocked(string(url), policy.Refresh) ||
			!ok && strings.Contains(line, "//") && j.refuse(policy.Refresh) {
			return ""
		}
		return line
	})
}

// FilterReporting removes from a response what makes a browser tell others
// about the visit without any element in the page:
//
//   - Reporting-Endpoints, Speculation-Rules and the
//     Attribution-Reporting-Register-OS-… fields lose the members whose URL b
//     blocks; what stays keeps its bytes.
//   - Report-To loses the groups with such an endpoint. NEL goes when a group
//     went, as it may rely on it.
//   - Attribution-Reporting-Register-Source and -Trigger go when they mention
//     such a URL. Without one they report to the site itself.
//   - Observe-Browsing-Topics, which has the browser derive interests from the
//     visit for everybody, goes unless b is unrestricted.
//
// Unreadable values go. Supports-Loading-Mode names nobody and stays; so does
// Content-Security-Policy with its reports, which may only be tightened.
func FilterReporting(h http.Header, b policy.Bound, base Base, count func(policy.Decision, policy.Kind)) {
	if b.Unrestricted() {
		return
	}
	j := newHeaderJudge(b, base, count)
	for _, field := range reportingLists {
		filterHeaderLines(h, field, func(line string) string {
			return keepHeaderMembers(line, ',', false, func(member string, closed bool) bool {
				return !j.blockedStrings(member, closed)
			})
		})
	}
	lostGroup := false
	filterHeaderLines(h, "Report-To", func(line string) string {
		kept := j.keepGroups(line)
		lostGroup = lostGroup || kept != line
		return kept
	})
	if lostGroup {
		eachHeaderKey(h, "NEL", func(key string) { delete(h, key) })
	}
	for _, field := range reportingObjects {
		filterHeaderLines(h, field, func(line string) string {
			if j.blockedJSON(line) {
				return ""
			}
			return line
		})
	}
	eachHeaderKey(h, "Observe-Browsing-Topics", func(key string) { delete(h, key) })
}

// blockedStrings judges the strings of a structured field's member (RFC 9651).
func (j *headerJudge) blockedStrings(member string, closed bool) bool {
	found := false
	rest := member
	for {
		i := strings.IndexByte(rest, '"')
		if i < 0 {
			break
		}
		found = true
		url := parameterValue(rest[i:])
		if j.blocked(url, policy.Hint) {
			return true
		}
		rest = afterString(rest[i:])
	}
	if !closed || !found && strings.Contains(member, "//") {
		return j.refuse(policy.Hint)
	}
	return false
}

// afterString returns what follows the quoted string s begins with.
func afterString(s string) string {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[i+1:]
		}
	}
	return ""
}

// keepGroups returns a Report-To line, which is a list of JSON objects, without
// the groups that name what is blocked.
func (j *headerJudge) keepGroups(line string) string {
	var groups []json.RawMessage
	if err := json.Unmarshal([]byte("["+line+"]"), &groups); err != nil {
		j.refuse(policy.Hint)
		return ""
	}
	var kept []string
	for _, g := range groups {
		if !j.blockedJSON(string(g)) {
			kept = append(kept, string(g))
		}
	}
	if len(kept) == len(groups) {
		return line
	}
	return strings.Join(kept, ", ")
}

// blockedJSON judges every string of a JSON text: which of them a browser takes
// for a URL is for each field to say, and more are named with time.
func (j *headerJudge) blockedJSON(text string) bool {
	if !json.Valid([]byte(text)) {
		return j.refuse(policy.Hint)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	for {
		token, err := dec.Token()
		if err != nil {
			return false // the end: the text is valid
		}
		if s, ok := token.(string); ok && strings.ContainsAny(s, `:/\`) && j.blocked(s, policy.Hint) {
			return true
		}
	}
}
