package policy

import (
	"regexp"
	"slices"
	"strings"
)

// A cookieRule says what is known of cookies of certain names.
type cookieRule struct {
	action   ruleAction
	category int // position in the scheme's categories, -1 if none
	vendor   *Vendor
	reason   Reason // of an outright allow
	rank     int    // the higher one wins where several rules hold for the same name
}

// A ruleAction is what the policy says of a vendor or cookie.
type ruleAction uint8

const (
	byCategory  ruleAction = iota // allowed while the category is granted
	alwaysBlock                   // whatever the visitor says
	alwaysAllow
)

// A nameIndex finds the rule for a cookie name: an exact name, else the longest
// prefix, else a pattern.
type nameIndex struct {
	exact    map[string]*cookieRule
	prefixes map[string]*cookieRule
	lengths  []int // of the prefixes, longest first
	patterns []namePattern
}

type namePattern struct {
	prefix string // what every name that matches begins with, so that few names reach re
	re     *regexp.Regexp
	rule   *cookieRule
}

func newNameIndex() *nameIndex {
	return &nameIndex{exact: map[string]*cookieRule{}, prefixes: map[string]*cookieRule{}}
}

// put adds a rule under one literal. Of two rules the one of higher rank stays.
func put(m map[string]*cookieRule, literal string, r *cookieRule) {
	if old := m[literal]; old == nil || r.rank > old.rank {
		m[literal] = r
	}
}

func (x *nameIndex) seal() {
	for p := range x.prefixes {
		if !slices.Contains(x.lengths, len(p)) {
			x.lengths = append(x.lengths, len(p))
		}
	}
	slices.SortFunc(x.lengths, func(a, b int) int { return b - a })
	slices.SortStableFunc(x.patterns, func(a, b namePattern) int { return b.rule.rank - a.rule.rank })
}

func (x *nameIndex) find(name string) *cookieRule {
	if r := x.exact[name]; r != nil {
		return r
	}
	for _, n := range x.lengths {
		if n > len(name) {
			continue
		}
		if r := x.prefixes[name[:n]]; r != nil {
			return r
		}
	}
	for i := range x.patterns {
		if p := &x.patterns[i]; strings.HasPrefix(name, p.prefix) && p.re.MatchString(name) {
			return p.rule
		}
	}
	return nil
}

// namePrefixes are the cookie name prefixes browsers attach a meaning to
// (RFC 6265bis, section 4.1.3), longest first. Browsers compare them without
// regard to case.
var namePrefixes = [...]string{"__Host-Http-", "__Secure-", "__Http-", "__Host-"}

// bareName is name without such a prefix.
func bareName(name string) (string, bool) {
	if !strings.HasPrefix(name, "__") {
		return name, false
	}
	for _, p := range namePrefixes {
		if len(name) > len(p) && equalFold(name[:len(p)], p) {
			return name[len(p):], true
		}
	}
	return name, false
}

// equalFold compares ASCII without regard to case; both have the same length.
// Unlike strings.EqualFold it knows no further letters, as browsers do.
func equalFold(a, b string) bool {
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// findCookie asks the policy file's own rules, then the essential cookies, then
// the vendors', each of them for the full name first.
func (p *Policy) findCookie(name string) *cookieRule {
	bare, prefixed := bareName(name)
	for _, x := range p.cookies {
		if r := x.find(name); r != nil {
			return r
		}
		if prefixed {
			if r := x.find(bare); r != nil {
				return r
			}
		}
	}
	return nil
}
