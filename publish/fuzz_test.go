package publish

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// FuzzPublish sends any body to each schema and kind. Whatever it is, the
// answer is 200 and all of its events are in the log, or the publisher is told
// what is wrong and none is.
func FuzzPublish(f *testing.F) {
	seeds := []string{
		one, "[" + gridOne + "]", gridOne, "[" + cloudOne + "," + cloudOne + "]", customOne, "[]", "", "{}", "[{}]", "\xef\xbb\xbf[" + gridOne + "]",
		strings.Replace(gridOne, "{", `{"topic":"a",`, 1), strings.Replace(gridOne, "1", `\u00e9\"\ud83d\ude00`, 1),
		`[{"kind":1e400,"item":{"path":true},"customer":"a"},{"kind":"x","item.path":"y","customer":"b"}]`,
		`{"specversion":"1.0-rc1","type":"t","source":" a ","id":"1","data_base64":"AA==","x":null}`,
		gridOne[:40], `[` + strings.Repeat(`[`, 2000),
	}
	types := []string{"", "application/json", "application/cloudevents+json; x", "application/cloudevents-batch+json; charset=UTF-8a", "text/plain"}
	for i, s := range seeds {
		for kind := range 8 {
			f.Add([]byte(s), byte(kind), byte(i), "1", "/s")
		}
	}
	topics := &DomainTopics{}
	topics.Set("a", resource.UID{1})
	setups := []func(*Handler, *Source){
		asTopic(event.EventGrid), asTopic(event.CloudEvents), asTopic(event.Custom),
		asDomain(event.EventGrid, topics), asDomain(event.CloudEvents, topics), asDomain(event.Custom, topics),
		func(_ *Handler, s *Source) {
			s.Channels = named(&Channel{Name: "orders", Topic: resource.UID{2}, State: Activated})
		},
		func(_ *Handler, s *Source) {
			s.Routing = SourceEventAttribute
			s.Channels = bySource(map[string][]*Channel{"a": {{Name: "a", Topic: resource.UID{3}, State: Activated}}})
		},
	}
	f.Fuzz(func(t *testing.T, body []byte, kind, media byte, ceID, ceSource string) {
		log := &memoryLog{}
		h := &Handler{Table: &Table{}, Log: log}
		src := &Source{UID: resource.UID{9}, ID: namespaceID, Name: "contoso", Region: "westeurope", Keys: []string{key1}, PublicNetworkAccess: true}
		setups[int(kind)%len(setups)](h, src)
		h.Table.Set(src)
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(string(body)))
		r.Header.Set("aeg-sas-key", key1)
		r.Header.Set("aeg-channel-name", "orders")
		r.Header.Set("Content-Type", types[int(media)%len(types)])
		if media&0x80 != 0 {
			r.Header["Ce-Specversion"], r.Header["Ce-Type"] = []string{"1.0"}, []string{"t"}
			r.Header["Ce-Id"], r.Header["Ce-Source"] = []string{ceID}, []string{ceSource}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		res := w.Result()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode == http.StatusOK {
			// Only a namespace that routes by source drops events, of which then
			// nothing is stored.
			if log.calls > 1 || len(answer) > 0 || (len(log.entries) == 0 && src.Routing != SourceEventAttribute) {
				t.Errorf("200 with %d entries in %d calls, body %q", len(log.entries), log.calls, answer)
			}
			for _, e := range log.entries {
				if !json.Valid(e.Event.JSON) || e.Event.ID == "" || e.Event.Type == "" || e.Event.Source == "" || e.Event.Schema != src.Schema || e.Topic.IsZero() {
					t.Errorf("stored %+v", e)
				}
			}
			return
		}
		switch res.StatusCode {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		default:
			t.Errorf("status %d: %s", res.StatusCode, answer)
		}
		if log.calls != 0 || !json.Valid(answer) {
			t.Errorf("%d after %d calls, body %q", res.StatusCode, log.calls, answer)
		}
	})
}
