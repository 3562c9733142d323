package arm

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var anyMethod = []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"}

// at sends a request with a path that is used as it is, already decoded.
func (f *fixture) at(method, path, query, body string) *answer {
	f.t.Helper()
	r := httptest.NewRequestWithContext(f.t.Context(), method, base+"/", strings.NewReader(body))
	r.URL = &url.URL{Path: path, RawQuery: query}
	r.Header.Set("Authorization", "Bearer "+f.token("owner", "https://management.azure.com/"))
	return f.send(r)
}

// FuzzPaths: no path is the server's fault.
func FuzzPaths(f *testing.F) {
	for _, form := range forms {
		f.Add(byte(2), form.path+"es1", hookBody)
		f.Add(byte(0), form.path, "")
		f.Add(byte(5), form.path+"es1/getFullUrl", "")
	}
	for _, p := range []string{
		"", "/", "//", "/subscriptions", customerID, customerRG, customerRG + provider, customerID + provider + "/locations/x/topicTypes/y/eventSubscriptions", provider + "/topicTypes/x/eventTypes",
		storage + provider + "/extensionTopics/default", customerID + provider + "/locations/x/operationsStatus/" + guid1, customerRG + "/providers/providers/providers/x", customerRG + "/providers/x/providers/y/providers",
		account, container, customerRG + "/providers/Microsoft.Storage/storageAccounts", account + "/providers/Microsoft.Insights/diagnosticSettings/d", lockAt(account, "l"), lockAt(customerID, "l"), tagsAt(account), tagsAt(customerID),
		customerID + "/tagNames/n", customerID + "/tagNames/n/tagValues/v", customerID + "/resources", customerRG + "/moveResources", customerID + "/providers/Microsoft.Storage/resourceTypes",
		"/eventSubscriptions/x/validate", assignmentAt(customerRG, guid1), customerRG + "/providers/\xff/x/\x00" + provider + "/eventSubscriptions/es1", strings.Repeat("/providers/a/b/c", 500),
	} {
		f.Add(byte(0), p, "")
		f.Add(byte(2), p, hookBody)
	}
	var w *fixture
	var whole memory
	f.Fuzz(func(t *testing.T, method byte, path, body string) {
		if w == nil {
			w = newFixture(t).topics()
			whole = w.store.view()
		}
		w.t = t
		w.store.replace(whole)
		a := w.at(anyMethod[int(method)%len(anyMethod)], path, "api-version="+version, body)
		if a.status >= 500 || a.status < 200 {
			t.Errorf("%s: %d %s", a.what, a.status, a.raw)
		}
	})
}

// segments are what paths of the management API are made of.
var segments = []string{
	"subscriptions", "resourceGroups", "providers", "Microsoft.EventGrid", "Microsoft.Storage", "Microsoft.Authorization", "eventSubscriptions", "extensionTopics", "default",
	"topics", "domains", "systemTopics", "partnerTopics", "partnerNamespaces", "channels", "storageAccounts", "locations", "topicTypes", "locks", "tags", "tagNames", "tagValues", "resources", "Microsoft.Resources", "Microsoft.Insights", "diagnosticSettings", "eventTypes", "westeurope", "roleAssignments", "operationsStatus",
	"topic1", "domain1", "tenant1", "blobs", "acc1", "pt1", "ns1", "ch1", "es1", "rg-c", "getFullUrl", "register", "Microsoft.EventGrid.Topics", customerSub, noSub, guid1, "",
}

// Paths of known words in any order, in the middle of which whole ids stand.
func TestNoPathMakesAnInternalError(t *testing.T) {
	f := newFixture(t).topics()
	for _, form := range forms {
		f.put("owner", form.path+"es1", hookBody).want(201)
	}
	whole := f.store.view()
	beginnings := []string{"", customerID, customerRG, customTopic, domain, domainTopic, systemTopic, topic, storage, channel}
	taken := map[int]int{}
	rapid.Check(t, func(rt *rapid.T) {
		f.store.replace(whole)
		path := rapid.SampledFrom(beginnings).Draw(rt, "beginning") + "/" +
			strings.Join(rapid.SliceOfN(rapid.SampledFrom(segments), 0, 6).Draw(rt, "segments"), "/")
		if rapid.Bool().Draw(rt, "extension") {
			path += rapid.SampledFrom([]string{provider + "/eventSubscriptions", provider + "/eventSubscriptions/es1", provider + "/extensionTopics/default", "/eventSubscriptions/es1", "/eventSubscriptions"}).Draw(rt, "end")
		}
		method := rapid.SampledFrom(anyMethod).Draw(rt, "method")
		a := f.at(method, path, "api-version="+version, rapid.SampledFrom([]string{"", "{}", hookBody, `{"location":"westeurope"}`}).Draw(rt, "body"))
		taken[a.status/100]++
		if a.status >= 500 || a.status < 200 {
			rt.Fatalf("%s %s: %d %s", method, path, a.status, a.raw)
		}
		if a.status == 200 && method == "GET" && a.at("id") != nil && a.at("name") != nil {
			if again := f.at("GET", "/"+strings.TrimLeft(a.at("id").(string), "/"), "api-version="+version, ""); again.status != 200 {
				rt.Fatalf("%s shows the id %s, where there is %d %s", path, a.at("id"), again.status, again.raw)
			}
		}
	})
	// -short tries few of them, which may well all be refused.
	if !testing.Short() && (taken[2] == 0 || taken[4] == 0) {
		t.Errorf("all paths met the same fate: %v", taken)
	}
}
