package policy

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/consentgate/consentgate/policy/catalog"
)

// A namePatternSource is a cookie name, how such names begin, or a pattern.
type namePatternSource struct {
	match   string // as in the catalog: "exact", "prefix" or "regex"
	literal string // of the first two
	re      *regexp.Regexp
	broad   bool
}

func (n *namePatternSource) same(o *namePatternSource) bool {
	if n.match != o.match {
		return false
	}
	if n.match == "regex" {
		return n.re.String() == o.re.String()
	}
	return n.literal == o.literal
}

func catalogNames(k *catalog.Cookie) (namePatternSource, bool) {
	n := namePatternSource{match: k.Match, literal: k.Name}
	if k.Match == "regex" {
		re, err := regexp.Compile(k.Pattern)
		if err != nil {
			return n, false
		}
		n.re = re
	}
	return n, true
}

// names reads the name or pattern of an entry. A pattern must match the whole
// name.
func (c *compiler) names(what, key string, at position, name, pattern text) (namePatternSource, bool) {
	switch {
	case name.bad || pattern.bad:
		return namePatternSource{}, false
	case name.set == pattern.set:
		c.add(at, "give it exactly one of the two", "%s with both or neither of %s and pattern", what, key)
		return namePatternSource{}, false
	case pattern.set:
		re, err := regexp.Compile("^(?:" + pattern.s + ")$")
		if err != nil {
			c.add(pattern.at, "see github.com/google/re2/wiki/Syntax", "pattern %s is not a regular expression (RE2)", quote(pattern.s))
			return namePatternSource{}, false
		}
		return namePatternSource{match: "regex", re: re}, true
	}
	literal, isPrefix := strings.CutSuffix(name.s, "*")
	if strings.Contains(literal, "*") || key == "name" && strings.ContainsAny(literal, ";=\r\n\x00") || isPrefix && literal == "" {
		c.add(name.at, `a "*" may stand at the end only, behind what the names begin with; ";" and "=" never stand in one`, "%s %s is not usable", key, quote(name.s))
		return namePatternSource{}, false
	}
	if isPrefix {
		return namePatternSource{match: "prefix", literal: literal}, true
	}
	return namePatternSource{match: "exact", literal: literal}, true
}

func (x *nameIndex) add(n *namePatternSource, r *cookieRule) {
	switch n.match {
	case "exact":
		put(x.exact, n.literal, r)
	case "prefix":
		put(x.prefixes, n.literal, r)
	default:
		x.patterns = append(x.patterns, namePattern{literalPrefix(n.re), n.re, r})
	}
}

// literalPrefix is what a text must begin with to match an expression that is
// anchored at its start.
func literalPrefix(re *regexp.Regexp) string {
	// The regexp package tells no prefix of an anchored expression.
	free, err := regexp.Compile(strings.TrimPrefix(re.String(), "^"))
	if err != nil {
		return ""
	}
	prefix, _ := free.LiteralPrefix()
	return prefix
}

func (n *namePatternSource) String() string {
	if n.re != nil {
		return n.match + " " + n.re.String()
	}
	return n.match + " " + n.literal
}

// essentialRank lies above all others: what the site cannot work without.
const essentialRank = 1 << 20

func (c *compiler) addEssential(k *catalog.Cookie) {
	n, ok := catalogNames(k)
	if !ok {
		c.add(position{}, "mend the catalog", "essential cookie pattern %s", quote(k.Pattern))
		return
	}
	c.p.cookies[1].add(&n, &cookieRule{action: alwaysAllow, category: -1, reason: Essential, rank: essentialRank})
	c.note("essential", n.String())
}

// applyCookies adds the cookies that a file names by itself.
func (c *compiler) applyCookies(f *file, own bool) {
	lines := map[string]int{}
	for i := range f.cookies {
		e := &f.cookies[i]
		n, ok := c.names("a cookie", "name", e.at, e.name, e.pattern)
		r, valid := c.cookieRule(e, own)
		if !ok || !valid {
			continue
		}
		if first := lines[n.String()]; first > 0 {
			c.add(e.at, "merge the two", "cookie %s stands twice, first in line %d", quote(e.name.s+e.pattern.s), first)
			continue
		}
		lines[n.String()] = e.at.line
		if e.category.missing() && e.action.missing() && !e.essential {
			c.add(e.at, "add one of category, essential and action", "nothing is said of cookie %s", quote(e.name.s+e.pattern.s))
			continue
		}
		c.p.cookies[0].add(&n, r)
		c.watch(r.action, r.category)
		c.note("cookie", n.String(), quote(e.category.s), r.reason.String(), e.action.s)
	}
}

// cookieRule reads what an entry says of a cookie.
func (c *compiler) cookieRule(e *cookieEntry, own bool) (*cookieRule, bool) {
	r := &cookieRule{category: c.category(e.category, own), action: c.action(e.action), reason: Overridden}
	switch {
	case e.category.bad || e.action.bad || e.category.set && r.category < 0:
		return nil, false
	case e.essential && r.action == alwaysBlock:
		c.add(e.action.at, "remove one of the two", "an essential cookie cannot be blocked")
		return nil, false
	case e.essential:
		r.action, r.reason = alwaysAllow, Essential
	case e.action.s == "consent" && !e.category.set:
		c.add(e.action.at, "add the category whose consent it needs", "a cookie that needs consent, but has no category")
		return nil, false
	}
	return r, true
}

// overrideCookie changes a cookie of a vendor, or adds one to it.
func (c *compiler) overrideCookie(d *draft, e *cookieEntry, own bool) {
	n, ok := c.names("a cookie of vendor "+quote(d.ID), "name", e.at, e.name, e.pattern)
	if e.action.s == "consent" && !e.category.set {
		e.category = text{s: c.p.scheme.Categories[d.Category].ID, at: e.at, set: true}
	}
	r, valid := c.cookieRule(e, own)
	if !ok || !valid {
		return
	}
	k := &cookieDraft{names: n, category: d.Category}
	found := false
	for i := range d.cookies {
		if d.cookies[i].names.same(&n) {
			k, found = &d.cookies[i], true
		}
	}
	if r.category >= 0 {
		k.category = r.category
	}
	k.action, k.ess = r.action, e.essential
	k.decided = k.decided || e.action.set || e.essential
	if !found {
		d.cookies = append(d.cookies, *k)
	}
}

// addCookies puts the vendor's cookies into the index. What the policy file
// says of the vendor as a whole holds for its cookies too, unless it says
// something else of a cookie. Where two vendors claim a name, the one that the
// policy file speaks of counts, then the stricter.
func (c *compiler) addCookies(d *draft) {
	for i := range d.cookies {
		k := &d.cookies[i]
		if k.names.broad && !d.named {
			continue
		}
		r := &cookieRule{action: d.action, category: k.category, vendor: d.Vendor, reason: Overridden}
		if k.decided {
			r.action = k.action
		}
		if k.ess {
			r.reason = Essential
		}
		r.rank = c.rank(r.action, r.category)
		if d.named {
			r.rank += 1 << 10
		}
		c.p.cookies[2].add(&k.names, r)
		c.watch(r.action, r.category)
		c.note("vendor cookie", d.ID, k.names.String(), strconv.Itoa(r.category), strconv.Itoa(int(r.action)), r.reason.String())
	}
}

var stores = []string{"localStorage", "sessionStorage", "indexedDB"}

// applyStorage checks storage keys and makes them part of the policy's hash. The
// server never sees the browser's storage, so nothing on this side decides by them.
func (c *compiler) applyStorage(list []storageEntry, owner string) {
	for i := range list {
		e := &list[i]
		n, ok := c.names("a storage key", "key", e.at, e.key, e.pattern)
		if c.choice(e.store, "store", stores...); e.category.missing() && owner == "storage" {
			c.add(e.at, "add the category whose consent it needs", "storage key %s has no category", quote(e.key.s+e.pattern.s))
		}
		if c.category(e.category, true); ok {
			c.note("storage", owner, n.String(), e.store.s, e.category.s)
		}
	}
}
