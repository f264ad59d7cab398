package rewriter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/rewriter/internal/html5lib"
)

// idioms are the ways in which real pages load things, in the words of the
// vendors' own snippets or as site builders write them.
var idioms = expand([]string{
	`<script>(function(w,d,s,l,i){w[l]=w[l]||[];w[l].push({'gtm.start':new Date().getTime(),event:'gtm.js'});var f=d.getElementsByTagName(s)[0],` +
		`j=d.createElement(s),dl=l!='dataLayer'?'&l='+l:'';j.async=true;j.src='https://www.googletagmanager.com/gtm.js?id='+i+dl;f.parentNode.insertBefore(j,f);})` +
		`(window,document,'script','dataLayer','GTM-XXXX');</script>` +
		`<noscript><iframe src="https://www.googletagmanager.com/ns.html?id=GTM-XXXX" height="0" width="0" style="display:none;visibility:hidden"></iframe></noscript>`,
	`<!-- Meta Pixel Code --><script>§L</script><noscript><img height="1" width="1" style="display:none" src="§P"/></noscript><!-- End -->`,
	`<img class="lazy" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" data-src="/a.jpg" alt=""><noscript><img src="/a.jpg"></noscript>`,
	`<picture><source media="(min-width: 800px)" srcset="/a.webp 1x, /b.webp 2x" type="image/webp"><img loading=lazy src="/a.jpg" sizes="(max-width: 600px) 100vw, 50vw"></picture>`,
	`<link rel="preload" href="https://fonts.googleapis.com/css2?family=Inter&display=swap" as="style" onload="this.onload=null;this.rel='stylesheet'">`,
	`<!--[if lt IE 9]><script src="https://cdn.example.net/html5shiv.js"></script><![endif]--><!--[if !IE]><!--><p>x</p><!--<![endif]-->`,
	`<script id="__NEXT_DATA__" type="application/json">{"props":{"html":"\u003cscript src=\"§S\"\u003e"}}</script><script>self.__next_f=self.__next_f||[];self.__next_f.push([1,"<a href=\"x\">"])</script>`,
	`<svg style="display:none"><symbol id="i" viewBox="0 0 1 1"><title>Icon</title><style><![CDATA[.a{fill:url(#g)}]]></style><path class=a d="M0 0"/></symbol></svg><svg><use xlink:href="#i"/></svg>`,
	`<style amp-boilerplate>body{animation:-amp-start 8s}</style><noscript><style amp-boilerplate>body{animation:none}</style></noscript>`,
	`<template shadowrootmode="open"><style>@import "/a.css";:host{background:url(§P)}</style><slot></slot></template>`,
	`<body class="x" onload="fbq('track','Lead')"><a href="#" onclick="gtag('event','x');return false">x</a><script nonce="abc">go()</script>`,
	`<table><tr><td background="/x.gif"><form><input type=hidden name=a><input type=image src="§P"></table>`,
	`<select><optgroup label=a><option>1<option selected>2</select><textarea><script></textarea><iframe srcdoc="<p>hi</p><img src='§P'>"></iframe>`,
	`<div style="background-image:url(&quot;/a.png&quot;),url('§P')"><video autoplay muted poster="/p.jpg"><source src="/v.mp4"></video></div>`,
	`<p>a <b>b <i>c</b> d</i> &nbsp;&copy &lt;img src="§P"&gt; 1 < 2 && x<y</p><math><mi>x</mi><annotation-xml encoding="text/html"><img src="/a"></annotation-xml></math>`,
	`<script type="speculationrules">{"prerender":[{"where":{"href_matches":"/*"}}]}</script><meta http-equiv="refresh" content="5;url=/next"><base href="/">`,
	`<script>document.write('<script src="§S"><\/script>')</script><script type="text/x-template" id=t><div v-html="x"></div></script>`,
	`<frameset cols="1,2"><frame src="/a"><noframes><img src="§P"></noframes></frameset>`,
	"<!DOCTYPE html>\r\n<HTML><HEAD><META CHARSET=utf-8></HEAD>\r\n<BODY BGCOLOR=#fff BACKGROUND=/bg.gif><CENTER><IMG SRC=/a.gif BORDER=0></CENTER></BODY></HTML>\r\n",
})

// seeds adds what every target begins with: the hostile, the harmless and the
// once wrong documents, real markup, and what html5lib tests tokenizers with.
func seeds(f *testing.F) {
	f.Helper()
	for i, set := range [][]string{hostile, inertDocs, regressions, idioms, tokenizerInputs(f)} {
		for _, s := range set {
			f.Add([]byte(s), uint16(3+2*i))
		}
	}
	files, err := filepath.Glob("testdata/seed/*.html")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint16(61))
	}
}

// tokenizerInputs returns inputs of html5lib's tokenizer tests. Of the file that tries
// every byte in every state it returns a few, of those on references none: they
// have targets of their own.
func tokenizerInputs(tb testing.TB) (inputs []string) {
	tb.Helper()
	runs, err := html5lib.Runs("internal/scan/testdata/html5lib")
	if err != nil {
		tb.Fatal(err)
	}
	steps := map[string]int{
		"contentModelFlags": 1, "domjs": 1, "escapeFlag": 1, "pendingSpecChanges": 1, "test1": 1, "test2": 1, "test3": 10, "test4": 1,
	}
	for i, r := range runs {
		if step := steps[strings.TrimSuffix(r.File, ".test")]; step > 0 && i%step == 0 {
			inputs = append(inputs, r.Input)
		}
	}
	if len(inputs) < 300 {
		tb.Fatalf("only %d inputs: the suite is not all there", len(inputs))
	}
	return inputs
}
