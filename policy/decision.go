package policy

// An Action is what the gateway does with a resource or a cookie. The zero
// value blocks.
type Action uint8

const (
	Block Action = iota
	Allow
)

// A Reason says why a decision came out as it did.
type Reason uint8

const (
	// Unsure is the zero value: nothing vouched for the resource or cookie.
	Unsure Reason = iota
	// NotGranted: the vendor's category is not granted.
	NotGranted
	// Granted: the vendor's category is granted, or always on.
	Granted
	// Overridden: the policy file allows or blocks the vendor or cookie outright.
	Overridden
	// FirstParty: the resource belongs to the site itself and no vendor rule names it.
	FirstParty
	// Unclassified: third party, or cookie, that no rule of the policy names.
	Unclassified
	// Essential: a cookie the site needs to work; never withheld.
	Essential
	// Data: not something a browser would load or run.
	Data
)

// A Kind is a sort of resource. Its names form a closed set for metric labels.
type Kind uint8

const (
	Script  Kind = iota // <script src>, svg script href, modulepreload
	Inline              // <script> with code, event handler, javascript: URL
	Frame               // iframe, frame, srcdoc
	Object              // object, embed
	Image               // img, srcset, picture source, input image, svg image, icon, background
	Media               // video, audio, track, poster
	Style               // stylesheet, @import, url() in CSS
	Hint                // preload, prefetch, preconnect, dns-prefetch
	Refresh             // meta refresh
	numKinds
)

// NumKinds is the number of kinds.
const NumKinds = int(numKinds)

var kindNames = [...]string{"script", "inline", "frame", "object", "image", "media", "style", "hint", "refresh"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

func (a Action) String() string {
	if a == Allow {
		return "allow"
	}
	return "block"
}

var reasonNames = [...]string{"unsure", "not_granted", "granted", "overridden", "first_party", "unclassified", "essential", "data"}

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// A Decision is the policy's answer about one resource or cookie. The zero
// Decision blocks.
type Decision struct {
	Action   Action
	Reason   Reason
	Category int     // position in the scheme's categories; -1 if none applies
	Vendor   *Vendor // nil if no vendor is known
}
