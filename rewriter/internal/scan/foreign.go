package scan

// Inside svg and math the names that switch HTML's tokenizer to raw text are
// ordinary elements, and a handful of integration points switch back (HTML
// standard, section 13.2.6.5). A tokenizer without a tree cannot always follow.
// This tracker follows as long as the markup is well formed; once it is not, it
// says so and never again claims to know: the caller then judges both readings.

const (
	maxForeign = 48 // open elements followed inside one svg or math
	nodeName   = 16 // bytes of a name that are compared
)

type node struct {
	name [nodeName]byte
	n    uint8
	html bool // an HTML element inside an integration point
	ip   bool // content is read by HTML's rules
}

type foreign struct {
	stack [maxForeign]node
	depth int
	lost  bool // the markup left the paths the tracker knows
}

func (f *foreign) active() bool { return f.depth > 0 || f.lost }

// inForeign reports whether the current node surely is a foreign one, so that
// self-closing tags are empty elements and CDATA sections exist.
func (f *foreign) inForeign() bool {
	return f.depth > 0 && !f.stack[f.depth-1].html && !f.stack[f.depth-1].ip && !f.lost
}

func (f *foreign) push(n node) {
	if f.depth == maxForeign {
		f.lost = true
		return
	}
	f.stack[f.depth] = n
	f.depth++
}

func newNode(name []byte) (n node) {
	for n.n < nodeName && int(n.n) < len(name) {
		n.name[n.n] = fold[name[n.n]]
		n.n++
	}
	return n
}

// start follows a start tag. tag is the whole tag, nameEnd the end of its name.
func (f *foreign) start(e Elem, tag []byte, nameEnd int, selfClosing bool) {
	if f.lost {
		return
	}
	n := newNode(tag[1:nameEnd])
	if f.depth > 0 {
		top := &f.stack[f.depth-1]
		if !top.html && !top.ip && f.breaksOut(&n, tag, nameEnd) {
			for f.depth > 0 && !f.stack[f.depth-1].ip && !f.stack[f.depth-1].html {
				f.depth--
			}
		}
	}
	switch {
	case f.depth == 0 || f.stack[f.depth-1].html || f.stack[f.depth-1].ip:
		if e == SVG || e == Math {
			if !selfClosing {
				f.push(n)
			}
			return
		}
		if f.depth == 0 || isVoid(&n) {
			return
		}
		n.html = true
		f.push(n)
	case !selfClosing:
		n.ip = integrationPoint(&n, tag, nameEnd)
		f.push(n)
	}
}

// end follows an end tag.
func (f *foreign) end(name []byte) {
	if f.lost || f.depth == 0 {
		return
	}
	n := newNode(name)
	for i := f.depth - 1; i >= 0; i-- {
		if s := &f.stack[i]; s.n == n.n && s.name == n.name {
			if s.html && i != f.depth-1 {
				break // implied end tags: HTML's own rules decide
			}
			f.depth = i
			return
		} else if s.html {
			break
		}
	}
	// The tag closes something outside, or nothing, or needs HTML's rules.
	f.lost = true
}

// breaksOut lists the start tags that end foreign content.
func (f *foreign) breaksOut(n *node, tag []byte, nameEnd int) bool {
	switch string(n.name[:n.n]) {
	case "b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em",
		"embed", "h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "i", "img", "li", "listing",
		"menu", "meta", "nobr", "ol", "p", "pre", "ruby", "s", "small", "span", "strong", "strike",
		"sub", "sup", "table", "tt", "u", "ul", "var":
		return true
	case "font":
		var buf [8]Attr
		for _, a := range Attrs(buf[:0], tag, nameEnd) {
			name := tag[a.Name:a.NameEnd]
			if EqualFold(name, "color") || EqualFold(name, "face") || EqualFold(name, "size") {
				return true
			}
		}
	}
	return false
}

func integrationPoint(n *node, tag []byte, nameEnd int) bool {
	switch string(n.name[:n.n]) {
	case "foreignobject", "desc", "title", "mi", "mo", "mn", "ms", "mtext":
		// svg and math are not told apart here: an svg <mi> does not exist.
		return true
	case "annotation-xml":
		var buf [8]Attr
		for _, a := range Attrs(buf[:0], tag, nameEnd) {
			v := tag[a.Val:a.ValEnd]
			if EqualFold(tag[a.Name:a.NameEnd], "encoding") {
				return EqualFold(v, "text/html") || EqualFold(v, "application/xhtml+xml")
			}
		}
	}
	return false
}

func isVoid(n *node) bool {
	switch string(n.name[:n.n]) {
	case "area", "base", "br", "col", "embed", "hr", "img", "image", "input", "link", "meta",
		"param", "source", "track", "wbr", "bgsound", "basefont", "frame", "keygen":
		return true
	}
	return false
}
