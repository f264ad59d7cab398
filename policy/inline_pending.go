package policy

type inlineSignature struct {
	vendor *Vendor
	text   string
	loader bool
}

type inlineMatcher struct{}

func compileInline([]inlineSignature) *inlineMatcher { return &inlineMatcher{} }

func (m *inlineMatcher) match(_ []byte, _ func(*Vendor) bool, calls []*Vendor) (*Vendor, []*Vendor) {
	return nil, calls
}
