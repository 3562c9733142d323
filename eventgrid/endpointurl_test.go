package eventgrid

import "testing"

func TestEscapeURL(t *testing.T) {
	for sent, want := range map[string]string{
		"https://x.example/h?code=a%2Fb%c3&c=d+e/f?g=%20": "https://x.example/h?code=a%2Fb%c3&c=d+e/f?g=%20",
		"https://x.example/h?a=b c&d=é":                   "https://x.example/h?a=b%20c&d=%C3%A9",
		"https://x.example/h?a=😀":                         "https://x.example/h?a=%F0%9F%98%80",
		"https://x.example?a=b c":                         "https://x.example?a=b%20c",
		"https://x.example/two words/é?q":                 "https://x.example/two%20words/%C3%A9?q",
		"https://x.example/h?a=<\"{|}^`\\>[]'()":          "https://x.example/h?a=%3C%22%7B%7C%7D%5E%60%5C%3E[]'()",
		"https://x.example/h?a=100%&b=%zz&c=%4":           "https://x.example/h?a=100%25&b=%25zz&c=%254",
		" https://x.example/h?a=b ":                       "https://x.example/h?a=b",
		"https://x.example/100%":                          "https://x.example/100%", // refused elsewhere, as are the next
		"https://x.example/h?a=b\nc":                      "https://x.example/h?a=b\nc",
		"https://é.example":                               "https://é.example",
		"no url at all":                                   "no url at all",
		"":                                                "",
	} {
		got := escapeURL(sent)
		if got != want {
			t.Errorf("escapeURL(%q) = %q, want %q", sent, got, want)
		}
		if again := escapeURL(got); again != got {
			t.Errorf("%q becomes %q the second time", got, again)
		}
	}
}

// What is asked for its consent, sent to and shown is one URL.
func TestEndpointURLsAreEscaped(t *testing.T) {
	const sent, want = "https://x.example/h?code=two words&q=ü", "https://x.example/h?code=two%20words&q=%C3%BC"
	w := newWorld(t).withChannel()
	w.must(w.put(subscriptionID, `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"`+sent+`"}}}}`))
	es := w.get(subscriptionID)
	for _, name := range []string{SecretEndpointURL, SecretValidatedURL} {
		if es.Secrets[name] != want {
			t.Errorf("%s is %q, want %q", name, es.Secrets[name], want)
		}
	}
	answer, err := w.ask(subscriptionID, "getfullurl", "")
	shown, ok := answer.(map[string]*string)
	if err != nil || !ok || *shown["endpointUrl"] != want {
		t.Errorf("getFullUrl: %v, %v", answer, err)
	}
}
