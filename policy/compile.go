package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy/catalog"
)

// A compiler builds a Policy out of the catalog and two policy files, of which
// the second is laid over the first.
type compiler struct {
	*faults // of the file that is being applied

	p        *Policy
	covers   map[string]int // category of the catalog -> position in the scheme
	drafts   map[string]*draft
	order    []*draft
	operator ruleAction        // what operator-choice means
	claimed  map[string]string // host -> own vendor that claimed it in a policy file
	inline   []inlineSignature
	digest   hash.Hash
}

// A draft is a vendor under construction.
type draft struct {
	*Vendor
	facts    *catalog.Vendor // nil for a vendor of a policy file
	order    int             // position in the catalog
	named    bool            // an own file speaks of it
	stub     stubEntry
	rules    []*ruleDraft
	hosts    []string // further ones, by a policy file
	loaders  []string
	calls    []string
	cookies  []cookieDraft
	original int // category by the catalog
}

type ruleDraft struct {
	pattern hostPattern
	rule    urlRule
}

// A cookieDraft is one cookie of a vendor under construction.
type cookieDraft struct {
	names    namePatternSource
	category int
	action   ruleAction
	decided  bool // by a policy file, outright
	ess      bool
}

// compile resolves everything and returns the policy or all faults.
func compile(cat *catalog.Catalog, base, own *file) (*Policy, error) {
	c := &compiler{faults: base.faults, p: new(Policy), covers: map[string]int{},
		drafts: map[string]*draft{}, claimed: map[string]string{}, digest: sha256.New()}
	c.p.index.hosts = map[string]*hostEntry{}
	for i := range c.p.cookies {
		c.p.cookies[i] = newNameIndex()
	}
	c.settings(base, own)
	if len(c.p.scheme.Categories) == 0 {
		return nil, own.faults.join() // none of them is usable
	}
	for i := range cat.Vendors {
		c.addCatalogVendor(&cat.Vendors[i], i)
	}
	for _, f := range []*file{base, own} {
		c.faults = f.faults
		c.applyVendors(f, f == own)
		c.applyCookies(f, f == own)
		c.applyStorage(f.storage, "storage")
		c.applySite(f)
	}
	for i := range cat.Essential {
		c.addEssential(&cat.Essential[i])
	}
	c.finish()
	if err := base.faults.join(); err != nil {
		return nil, err
	}
	if err := own.faults.join(); err != nil {
		return nil, err
	}
	return c.p, nil
}

// note adds something the policy decides by to its hash.
func (c *compiler) note(parts ...string) {
	for _, p := range parts {
		c.digest.Write([]byte(strconv.Quote(p) + " "))
	}
	c.digest.Write([]byte("\n"))
}

// settings takes version, categories and the two defaults from own, or from
// base where own says nothing.
func (c *compiler) settings(base, own *file) {
	pick := func(b, o text) text {
		if o.missing() {
			return b
		}
		c.faults = own.faults
		return o
	}
	version := pick(base.version, own.version)
	if version.set && !isVersion(version.s) {
		c.add(version.at, `letters, digits, ".", "_" and "-", at most 32`, "version %s cannot stand in a cookie", quote(version.s))
	}
	c.p.scheme.Version = version.s
	c.p.unknown = Block
	if c.choice(pick(base.unknown, own.unknown), "unknown", "allow", "block") == "allow" {
		c.p.unknown = Allow
	}
	if c.choice(pick(base.operatorChoice, own.operatorChoice), "operator_choice", "block", "allow") == "allow" {
		c.operator = alwaysAllow
	}
	c.note("version", version.s, c.p.unknown.String(), strconv.Itoa(int(c.operator)))

	f := base
	if own.categories != nil {
		f = own
	}
	c.faults = f.faults
	c.categories(f.categories)
}

// choice returns the value of a key that is one of two words.
func (c *compiler) choice(t text, key string, words ...string) string {
	if t.set && !slices.Contains(words, t.s) {
		c.add(t.at, suggest(t.s, words, "write "+strings.Join(words, " or ")), "%s cannot be %s", key, quote(t.s))
	}
	return t.s
}

func isVersion(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isWordByte(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

var (
	categoryID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	vendorID   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
)

func (c *compiler) categories(list []categoryEntry) {
	s := &c.p.scheme
	lines := map[string]int{}
	for i := range list {
		e := &list[i]
		if i == consent.MaxCategories {
			c.add(e.at, "merge some of them", "more than %d categories", consent.MaxCategories)
			break
		}
		if e.id.missing() {
			c.add(e.at, "give it an id", "a category without id")
			continue
		}
		if !e.id.set {
			continue
		}
		if !categoryID.MatchString(e.id.s) {
			c.add(e.id.at, `begin with a letter a-z, go on with a-z, 0-9 and "-", at most 32`, "category id %s is not usable", quote(e.id.s))
		}
		if first := lines[e.id.s]; first > 0 {
			c.add(e.id.at, "merge the two or rename one", "category %s stands twice, first in line %d", quote(e.id.s), first)
			continue
		}
		lines[e.id.s] = e.id.at.line
		s.Categories = append(s.Categories, consent.Category{ID: e.id.s, Name: cmp.Or(e.name.s, e.id.s),
			Description: e.description.s, Fixed: e.fixed, DeniedBy: c.deniedBy(e)})
		c.note("category", e.id.s, e.name.s, e.description.s, strconv.FormatBool(e.fixed), strconv.Itoa(int(s.Categories[len(s.Categories)-1].DeniedBy)))
	}
	c.p.fixed = s.Fixed()
	c.covered(list)
}

func (c *compiler) deniedBy(e *categoryEntry) consent.Signals {
	var s consent.Signals
	for _, t := range e.deniedBy {
		switch c.choice(t, "denied_by", "gpc", "dnt") {
		case "gpc":
			s |= consent.GPC
		case "dnt":
			s |= consent.DNT
		}
		if e.fixed {
			c.add(t.at, "remove denied_by or fixed", "category %s is fixed, so no signal can take it away", quote(e.id.s))
			break
		}
	}
	return s
}

// covered finds a category for each category of the catalog: the one that says
// so, else the one of the same id.
func (c *compiler) covered(list []categoryEntry) {
	words := catalog.Categories[:]
	for i := range list {
		at := c.p.scheme.Index(list[i].id.s)
		if at < 0 {
			continue // a fault already
		}
		for _, t := range list[i].covers {
			if !slices.Contains(words, t.s) {
				c.add(t.at, suggest(t.s, words, "write "+strings.Join(words, ", ")), "the catalog has no category %s", quote(t.s))
				continue
			}
			if _, ok := c.covers[t.s]; ok {
				c.add(t.at, "leave it to one category", "%s is covered twice", quote(t.s))
				continue
			}
			c.covers[t.s] = at
		}
	}
	for _, w := range words {
		if _, ok := c.covers[w]; ok {
			continue
		}
		at := c.p.scheme.Index(w)
		if at < 0 && len(c.p.scheme.Categories) == len(list) { // else the one that is missing may be a fault already
			c.add(list[0].at, `add "covers: [`+w+`]" to the category these vendors belong to`, "no category takes the catalog's %s vendors", w)
		}
		c.covers[w] = max(at, 0)
	}
	for _, w := range words {
		c.note("covers", w, strconv.Itoa(c.covers[w]))
	}
}

// category returns the position of the category a file names, or -1 after a
// fault. What the built-in policy says is in the words of the catalog.
func (c *compiler) category(t text, own bool) int {
	if !t.set {
		return -1
	}
	if !own {
		return c.covers[t.s]
	}
	if i := c.p.scheme.Index(t.s); i >= 0 {
		return i
	}
	ids := make([]string, len(c.p.scheme.Categories))
	for i := range ids {
		ids[i] = c.p.scheme.Categories[i].ID
	}
	c.add(t.at, suggest(t.s, ids, "categories are "+strings.Join(ids, ", ")), "unknown category %s", quote(t.s))
	return -1
}

var actionWords = []string{"consent", "allow", "block"}

func (c *compiler) action(t text) ruleAction {
	switch c.choice(t, "action", actionWords...) {
	case "allow":
		return alwaysAllow
	case "block":
		return alwaysBlock
	}
	return byCategory
}

// finish fills the indexes and everything derived.
func (c *compiler) finish() {
	p := c.p
	for _, d := range c.order {
		c.addStub(d)
		d.rank = c.rank(d.action, d.Category)
		c.note("vendor", d.ID, d.Name, d.Owner, strconv.Itoa(d.Category), strconv.Itoa(int(d.action)), d.Stub)
		p.vendors = append(p.vendors, d.Vendor)
	}
	for _, d := range c.order {
		c.addHosts(d)
		c.addRules(d)
		c.addSignatures(d)
		c.addCookies(d)
	}
	c.addSharedHosts()
	p.index.seal()
	for _, x := range p.cookies {
		x.seal()
	}
	p.inline = compileInline(c.inline)
	slices.SortFunc(p.vendors, func(a, b *Vendor) int { return cmp.Compare(a.ID, b.ID) })
	for _, v := range p.vendors {
		c.watch(v.action, v.Category)
	}
	if p.unknown == Block {
		p.closed = true
	}
	p.hash = hex.EncodeToString(c.digest.Sum(nil)[:8])
}

// rank orders vendors and cookies by how hard they are to be allowed.
func (c *compiler) rank(a ruleAction, category int) int {
	switch {
	case a == alwaysBlock:
		return 2 + consent.MaxCategories
	case a == alwaysAllow || c.p.fixed.Has(category):
		return 0
	}
	return 1 + category
}

// watch records what a rule may make wait or block.
func (c *compiler) watch(a ruleAction, category int) {
	switch a {
	case alwaysBlock:
		c.p.closed = true
	case byCategory:
		c.p.watched = c.p.watched.With(category)
	}
}
