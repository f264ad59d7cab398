// Package consent knows what the visitor said: the categories a policy offers,
// the choice a visitor made among them, and the browser signals that take
// categories away again. It decides nothing about resources or cookies; that is
// package policy.
package consent

import "time"

// A Set holds categories by their position in [Scheme.Categories]. The zero Set
// is empty and grants nothing.
type Set uint64

// MaxCategories is the number of categories a Set can hold.
const MaxCategories = 64

// Has reports whether the category at position i is in the set. Positions
// outside the set's range are never in it.
func (s Set) Has(i int) bool { return i >= 0 && i < MaxCategories && s&(1<<uint(i)) != 0 }

// With returns the set with the category at position i added.
func (s Set) With(i int) Set {
	if i < 0 || i >= MaxCategories {
		return s
	}
	return s | 1<<uint(i)
}

// Without returns the set with every category of o removed.
func (s Set) Without(o Set) Set { return s &^ o }

// Signals are the browser statements of one request. Signals only take away.
type Signals uint8

const (
	// GPC is Global Privacy Control: the request carried "Sec-GPC: 1"
	// (W3C Global Privacy Control, section 3.1).
	GPC Signals = 1 << iota
	// DNT is Do Not Track: the request carried "DNT: 1" (W3C Tracking
	// Preference Expression, section 5.2).
	DNT
)

// A Category is a group of resources and cookies the visitor grants or denies.
type Category struct {
	ID          string  // lower-case letters, digits and "-", at most 32 bytes
	Name        string  // shown to visitors
	Description string  // shown to visitors
	Fixed       bool    // always granted; the visitor cannot refuse it
	DeniedBy    Signals // any of these signals takes the category away, whatever the visitor chose
}

// A Scheme is what a policy tells this package: the categories on offer, in
// order, and the policy version a choice must have been made under.
type Scheme struct {
	Version    string // letters, digits, ".", "_" and "-", at most 32 bytes
	Categories []Category
}

// Index returns the position of the category with the given id, or -1.
func (s *Scheme) Index(id string) int {
	for i := range s.Categories {
		if s.Categories[i].ID == id {
			return i
		}
	}
	return -1
}

// Fixed returns the categories that are always granted.
func (s *Scheme) Fixed() Set {
	var set Set
	for i := range s.Categories {
		if s.Categories[i].Fixed {
			set = set.With(i)
		}
	}
	return set
}

// Optional returns the categories the visitor decides on.
func (s *Scheme) Optional() Set {
	var set Set
	for i := range s.Categories {
		if !s.Categories[i].Fixed {
			set = set.With(i)
		}
	}
	return set
}

// A Problem says why a request that carried a consent cookie still counts as
// undecided.
type Problem uint8

const (
	// NoProblem means the cookie was absent or readable.
	NoProblem Problem = iota
	// Malformed means the cookie could not be read.
	Malformed
	// Conflicting means the request carried the cookie more than once, with
	// different values: someone may have planted one of them.
	Conflicting
	// Outdated means the choice was made under another policy version.
	Outdated
	// Expired means the choice is older than the scheme allows, or lies in the future.
	Expired
	// NumProblems is the number of problems, NoProblem included.
	NumProblems
)

var problemNames = [NumProblems]string{"none", "malformed", "conflicting", "outdated", "expired"}

// String names the problem, for metric labels.
func (p Problem) String() string {
	if p < NumProblems {
		return problemNames[p]
	}
	return "unknown"
}

// A State is the sum of the visitor's choice and the browser's signals for one
// request. The zero State is undecided and grants nothing.
type State struct {
	Decided bool      // the request carried a readable choice made under the current policy version
	Chosen  Set       // optional categories the visitor granted, before signals
	Granted Set       // optional categories in force: Chosen without what Signals took away
	Signals Signals   // signals the request carried
	At      time.Time // when the choice was made; zero if undecided
	Problem Problem   // why a cookie that was there did not count
}

// Level names the state in one word, for logs and metrics: "undecided",
// "denied" (nothing optional is in force), "granted" (all optional categories of
// sc are) or "partial".
func (s State) Level(sc *Scheme) string {
	switch {
	case !s.Decided:
		return "undecided"
	case sc != nil && s.Granted == sc.Optional():
		return "granted"
	case s.Granted == 0:
		return "denied"
	default:
		return "partial"
	}
}
