package rewriter

import "github.com/consentgate/consentgate/policy"

// A Count says how often one decision was made in a document.
type Count struct {
	Vendor string // the vendor's id, or "unclassified" for a third party the policy does not name
	Kind   policy.Kind
	Action policy.Action
	N      int
}

// A Report is what a Rewriter did to one document. Resources of the site itself
// are not counted.
type Report struct {
	Counts            []Count
	BytesIn, BytesOut int64
	Overlong          int  // tags longer than MaxHold whose attributes were judged one by one, or dropped
	LateInline        int  // inline scripts longer than MaxInline, judged by their beginning
	Diverged          bool // the document reads differently in different parsers; every reading was judged
}

// Unclassified is the vendor label of a third party that the policy does not name.
const Unclassified = "unclassified"

func (r *Report) reset() { *r = Report{Counts: r.Counts[:0]} }

func (r *Report) add(vendor string, k policy.Kind, a policy.Action, n int) {
	for i := range r.Counts {
		if c := &r.Counts[i]; c.Kind == k && c.Action == a && c.Vendor == vendor {
			c.N += n
			return
		}
	}
	r.Counts = append(r.Counts, Count{vendor, k, a, n})
}

// decision counts d unless it is about the site itself or about content that
// travels inside the page.
func (r *Report) decision(d policy.Decision, k policy.Kind) {
	switch {
	case d.Vendor != nil:
		r.add(d.Vendor.ID, k, d.Action, 1)
	case d.Reason == policy.Unclassified || d.Action == policy.Block:
		r.add(Unclassified, k, d.Action, 1)
	}
}
