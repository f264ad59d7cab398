package rewriter

import (
	"bytes"
	"strings"
	"testing"
)

// A reading is a document in which only some parsers, or only some of their modes,
// see a tag. It is held if any of them loads something: parts of the output must
// then be want, where § stands for the marker of a held element. An empty want
// means that nobody loads anything and the document leaves as it came.
type reading struct{ in, want string }

var readings = map[string][]reading{
	"conditional comment": {
		{`<!--[if IE]><script src="§S"></script><![endif]-->`, ``},
		{`<!--[if lt IE 9]><img src="§P"><![endif]--><p>x</p>`, ``},
		{`<!--[if IE]><img src="§P"><![endif]--><img src="§P">`, `<!--[if IE]><img src="§P"><![endif]--><img§ data-cg-src=`},
		{`<![if !IE]><script src="§S"></script><![endif]>`, `<![if !IE]><script type=text/plain§ data-cg-src=`},
		{`<!--[if !IE]><!--><script src="§S"></script><!--<![endif]-->`, `<!--[if !IE]><!--><script type=text/plain§ data-cg-src=`},
		{`<!--[if !IE]>--><script src="§S"></script><!--<![endif]-->`, `<!--[if !IE]>--><script type=text/plain§ data-cg-src=`},
		{`<!--[if gt IE 8]><!--><html class="x"><!--<![endif]--><img src="§P">`, `<!--<![endif]--><img§ data-cg-src=`},
		{`<!--[if mso]><v:image src="§P"/><![endif]-->`, ``},
		{`<![if IE><script src="§S"></script><![endif]>`, `<![if IE><script type=text/plain§ data-cg-src=`},
		{`<!--[if IE]> x > <img src="§P"> <![endif]-->`, ``},
	},
	"comment": {
		{`<!--><img src="§P">-->`, `<!--><img§ data-cg-src=`},
		{`<!---><img src="§P">-->`, `<!---><img§ data-cg-src=`},
		{`<!----><img src="§P">`, `<img§ data-cg-src=`},
		{`<!-- --!><img src="§P">`, `<img§ data-cg-src=`},
		{`<!-- --! ><img src="§P"> -->`, ``},
		{`<!-- -- ><img src="§P"> -->`, ``},
		{`<!-- <!-- --><img src="§P"> -->`, `<!-- <!-- --><img§ data-cg-src=`},
		{`<!-- <!-- > <img src="§P"> -->`, ``},
		{`<!- --><img src="§P">`, `<img§ data-cg-src=`},
		{`<! --><img src="§P">`, `<img§ data-cg-src=`},
		{`<?php echo "<img src='§P'>" ?>`, ``},
		{`<?php if (a > b) echo "<img src='§P'>" ?>`, `<img§ data-cg-src=`},
		{`<%= "<img src='§P'>" %>`, `<img§ data-cg-src=`},
		{`<!-- <img src="§P">`, ``},
		{`</p <img src="§P">`, ``},
		{`</!-- --><img src="§P">`, `<img§ data-cg-src=`},
	},
	"comment in a script": {
		{`<script><!-- <script> </script> --></script><img src="§P">`, `</script> --></script><img§ data-cg-src=`},
		{`<script><!-- <script> </script><img src="§P"> --></script>`, ``},
		{`<script><!-- </script><img src="§P"> -->`, `</script><img§ data-cg-src=`},
		{`<script><!-- <script </script><img src="§P"> --></script>`, ``},
		{`<script><!-- <scriptx </script><img src="§P"> --></script>`, `</script><img§ data-cg-src=`},
		{`<script><!-- <script/ </script> </script><img src="§P">`, `</script> </script><img§ data-cg-src=`},
		{`<script><!-- <SCRIPT> --></script><img src="§P">`, `--></script><img§ data-cg-src=`},
		{`<script><!--> <script> </script><img src="§P">`, `</script><img§ data-cg-src=`},
		{`<script>var a="<!--<script>";</script><img src="§P">--></script>`, ``},
		{`<script>/* </script><img src="§P"> */</script>`, `/* </script><img§ data-cg-src=`},
		{`<script>// </scriptx <img src="§P">` + "\n" + `</script>`, ``},
		{`<script>x</script/><img src="§P">`, `</script/><img§ data-cg-src=`},
	},
	"noscript": {
		{`<noscript><img src="§P"></noscript>`, `<noscript><img§ data-cg-src=`},
		{`<head><noscript><link rel=stylesheet href="§S"></noscript></head>`, `<link§ rel=stylesheet data-cg-href=`},
		{`<head><noscript><style>a{background:url(§P)}</style></noscript></head>`, `url(` + cssPrefix},
		{`<noscript><!-- <img src="§P"> --></noscript>`, ``},
		{`<noscript><!-- </noscript><img src="§P"> -->`, `</noscript><img§ data-cg-src=`},
		{`<noscript><p title="</noscript><img src=§P>">`, `</noscript><img§ data-cg-src=`},
		{`<noscript><textarea></noscript><img src="§P"></textarea>`, `</noscript><img§ data-cg-src=`},
		{`<noscript><textarea><img src="§P"></textarea></noscript>`, ``},
		{`<noscript><xmp></noscript><img src="§P"></xmp>`, `</noscript><img§ data-cg-src=`},
		{`<noscript><script></noscript><img src="§P"></script>`, `</noscript><img§ data-cg-src=`},
		{`<noscript><iframe src="§F"></iframe></noscript>`, `<iframe§ data-cg-src=`},
		{`<noscript><plaintext></noscript><img src="§P">`, `</noscript><img§ data-cg-src=`},
		{`<NOSCRIPT><IMG SRC="§P"></NOSCRIPT>`, `<IMG§ data-cg-SRC=`},
		{`<noscript><noscript></noscript><img src="§P"></noscript>`, `</noscript><img§ data-cg-src=`},
		{`<noscript></noscript a=">"><img src="§P">`, `<img§ data-cg-src=`},
		{`<noscript><a title='</noscript>'></a></noscript><script>var s="<img src='§P'>"</script>`, `<img§ data-cg-src=`}, // behind the parting, every reading counts
	},
	"select": {
		{`<select><script src="§S"></script></select>`, `<script type=text/plain§ data-cg-src=`},
		{`<select><option><img src="§P"></select>`, `<img§ data-cg-src=`},
		{`<select><xmp><img src="§P"></xmp></select>`, `<xmp><img§ data-cg-src=`},
		{`<select><style><img src="§P"></style></select>`, `<style><img§ data-cg-src=`},
		{`<select><title><img src="§P"></title></select>`, `<title><img§ data-cg-src=`},
		{`<select><textarea><img src="§P"></textarea></select>`, `<textarea><img§ data-cg-src=`},
		{`<select><noembed><img src="§P"></noembed></select>`, `<noembed><img§ data-cg-src=`},
		{`<select><iframe><img src="§P"></iframe></select>`, `<iframe><img§ data-cg-src=`},
		{`<select><noframes><img src="§P"></noframes></select>`, `<noframes><img§ data-cg-src=`},
		{`<select><plaintext><img src="§P"></select>`, `<plaintext><img§ data-cg-src=`},
		{`<select></select><xmp><img src="§P"></xmp>`, ``},
		{`<select><svg><script href="§S"></script></svg></select>`, `<script type=text/plain§ data-cg-href=`},
		{`<select><template><img src="§P"></template></select>`, `<img§ data-cg-src=`},
		{`<select><input><img src="§P"></select>`, `<img§ data-cg-src=`},
	},
	"svg": {
		{`<svg><style><img src="§P"></style></svg>`, `<style><img§ data-cg-src=`},
		{`<svg><title><img src="§P"></title></svg>`, `<title><img§ data-cg-src=`},
		{`<svg><desc><xmp><img src="§P"></xmp></desc></svg>`, `<img§ data-cg-src=`},
		{`<svg><foreignObject><img src="§P"></foreignObject></svg>`, `<img§ data-cg-src=`},
		{`<svg><foreignobject><textarea><img src="§P"></textarea></foreignobject></svg>`, `<img§ data-cg-src=`},
		{`<svg><textarea><img src="§P"></textarea></svg>`, `<img§ data-cg-src=`},
		{`<svg><![CDATA[<img src="§P">]]></svg>`, `<![CDATA[<img§ data-cg-src=`}, // text to the parser: held for whoever knows no sections
		{`<svg><p><![CDATA[<img src="§P">]]></p></svg>`, ``},
		{`<svg><p><![CDATA[><img src="§P">]]></p></svg>`, `<![CDATA[><img§ data-cg-src=`},
		{`<![CDATA[<img src="§P">]]>`, ``}, // a comment that ends at the picture's '>'
		{`<![CDATA[ > <img src="§P"> ]]>`, `<img§ data-cg-src=`},
		{`<svg><script href="§S"/><script href="§S"/></svg>`, `<script type=text/plain§ data-cg-href="§S"/><script type=text/plain§ data-cg-href=`},
		{`<svg><script/></svg><script src="§S"></script>`, `</svg><script type=text/plain§ data-cg-src=`},
		{`<svg/><xmp><img src="§P"></xmp>`, ``},
		{`<svg><g></svg></g><xmp><img src="§P"></xmp>`, ``},
		{`<svg><g></h></svg><xmp><img src="§P"></xmp>`, `<img§ data-cg-src=`}, // markup the tracker does not follow
		{`<svg></p><style><img src="§P"></style>`, `<img§ data-cg-src=`},
		{`<svg><font color=x><style><img src="§P"></style>`, ``},
		{`<svg><font><style><img src="§P"></style>`, `<img§ data-cg-src=`},
		{`<svg><a><![CDATA[x]]></a><image href="§P"/></svg>`, `<image§ data-cg-href=`},
		{`<svg><script>fetch('https://connect.face<!-- -->book.net/en_US/fbevents.js')</script></svg>`, `<script type=text/plain§>fetch`},
		{`<svg><script>fetch('https://connect.face<![CDATA[book.net/en_US]]>/fbevents.js')</script></svg>`, `<script type=text/plain§>fetch`},
		// A section that goes on behind the end tag in its text.
		{`<svg><script><![CDATA[</script><!-- ]]></script><script href="§S"/> --></svg>`, `</script><script type=text/plain§ data-cg-href=`},
		{`<svg><style><![CDATA[</style><!-- ]]></style><script href="§S"/> --></svg>`, `</style><script type=text/plain§ data-cg-href=`},
		{`<svg><script>]]><![CDATA[</script><!-- ]]></script><script href="§S"/> --></svg>`, `</script><script type=text/plain§ data-cg-href=`},
		{`<svg><style>]]><![CDATA[</style><!-- ]]></style><script href="§S"/> --></svg>`, `</style><script type=text/plain§ data-cg-href=`},
		{`<svg><script><![CDATA[x]]></script><!-- <script href="§S"/> --></svg>`, ``},
		{`<svg xmlns:x="x"><x:script href="§S"/></svg>`, ``}, // no such element in HTML
	},
	"math": {
		{`<math><style><img src="§P"></style></math>`, `<style><img§ data-cg-src=`},
		{`<math><mi><img src="§P"></mi></math>`, `<mi><img§ data-cg-src=`},
		{`<math><mo><xmp><img src="§P"></xmp></mo></math>`, `<img§ data-cg-src=`},
		{`<math><mtext><table><mglyph><style><!--</style><img src="§P">--></style></math>`, `<img§ data-cg-src=`},
		{`<math><annotation-xml encoding="text/html"><style><img src="§P"></style></annotation-xml></math>`, `<img§ data-cg-src=`},
		{`<math><annotation-xml encoding="application/xhtml+xml"><img src="§P"></annotation-xml></math>`, `<img§ data-cg-src=`},
		{`<math><annotation-xml><svg><style><img src="§P"></style></svg></annotation-xml></math>`, `<img§ data-cg-src=`},
		{`<math><![CDATA[<img src="§P">]]></math>`, `<![CDATA[<img§ data-cg-src=`}, // as in svg
		{`<math><mtext><![CDATA[<img src="§P">]]></mtext></math>`, `<![CDATA[<img§ data-cg-src=`},
		{`<math/><xmp><img src="§P"></xmp>`, ``},
		{`<math></br><xmp><img src="§P"></xmp>`, `<img§ data-cg-src=`},
		{`<math><malignmark><style><img src="§P"></style></math>`, `<img§ data-cg-src=`},
	},
	"template": {
		{`<template><img src="§P"></template>`, `<img§ data-cg-src=`},
		{`<template shadowrootmode=open><img src="§P"></template>`, `<img§ data-cg-src=`},
		{`<template shadowrootmode=closed><script src="§S"></script></template>`, `<script type=text/plain§ data-cg-src=`},
		{`<template><template><img src="§P"></template></template>`, `<img§ data-cg-src=`},
		{`<template><xmp><img src="§P"></xmp></template>`, ``},
		{`<template><col><xmp><img src="§P"></xmp></template>`, `<img§ data-cg-src=`},
		{`<template><script>var s="<img src='§P'>"</script></template>`, ``},
		{`<template><svg><script href="§S"/></svg></template>`, `<script type=text/plain§ data-cg-href=`},
		{`<template><noscript><p title="</noscript><img src=§P>"></noscript></template>`, `</noscript><img§ data-cg-src=`},
		{`<template><base href="https://§H/"></template><img src="/a.png">`, `<base data-cg-href=`},
		{`<template><frameset><frame src="§F"></frameset></template>`, `<frame§ data-cg-src=`},
		{`</template><img src="§P">`, `<img§ data-cg-src=`},
	},
}

func TestReadings(t *testing.T) {
	for name, cases := range readings {
		t.Run(name, func(t *testing.T) {
			for _, c := range cases {
				in, want := signs(c.in, true), signs(c.want, true)
				whole, _ := rewrite(t, []byte(in), 0, testPage(denied()))
				for _, size := range sizes[1:] {
					if out, _ := rewrite(t, []byte(in), size, testPage(denied())); string(out) != string(whole) {
						t.Errorf("size %d differs\nin:    %s\nwhole: %s\nout:   %s", size, in, whole, out)
					}
				}
				plain := string(stubPattern.ReplaceAll(whole, nil))
				marked := markerPattern.ReplaceAllString(plain, "$1§")
				if want == "" && string(whole) != in || !strings.Contains(marked, want) {
					t.Errorf("in:   %s\nout:  %s\nwant: %s", in, marked, want)
				}
				if got := restore(whole); string(got) != in {
					t.Errorf("in:       %s\nrestored: %s", in, got)
				}
				for _, scripting := range []bool{true, false} {
					if l := live(whole, denied(), scripting); len(l) > 0 {
						t.Errorf("scripting %v: live: %s\nin:  %s\nout: %s", scripting, l, in, whole)
					}
					if l := live([]byte(in), denied(), scripting); want == "" && len(l) > 0 {
						t.Errorf("scripting %v: the table says nobody loads %s\nin: %s", scripting, l, in)
					}
				}
				if all, _ := rewrite(t, []byte(in), 3, testPage(granted())); string(all) != in {
					t.Errorf("granted, yet changed: %s", all)
				}
			}
		})
	}
}

// TestHeldTwice: what was held once is not held again, however odd it is.
func TestHeldTwice(t *testing.T) {
	for _, in := range expand([]string{
		`<style>a{fill:url(https://site<style>@import "§S" layer(x);</style>`, `<p style='fill:url(https://site<style>@import "§S" layer(x)'>`,
	}) {
		once, _ := rewrite(t, []byte(in), 0, testPage(denied()))
		if twice, _ := rewrite(t, once, 0, testPage(denied())); string(once) == in || !bytes.Equal(twice, once) {
			t.Errorf("in:    %s\nonce:  %s\ntwice: %s", in, once, twice)
		}
	}
}
