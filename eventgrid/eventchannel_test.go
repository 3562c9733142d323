package eventgrid

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

var (
	oldNamespaceID = partnerGroup.Provider(TypePartnerNamespace, "ns-old")
	eventChannelID = oldNamespaceID.Child("eventChannels", "ec1")
	oldTopicID     = customerGroup.Provider(TypePartnerTopic, "pt-old")
)

func eventChannelBody(more string) string {
	return `{"properties":{"source":{"source":"northwave/4711"},"destination":{"azureSubscriptionId":"` + customerSub +
		`","resourceGroup":"rg-c","partnerTopicName":"pt-old"}` + more + `}}`
}

func (w *world) withEventChannel(more string) *world {
	w.withNamespace().withGrant()
	w.must(w.put(oldNamespaceID, namespaceBody("")))
	w.must(w.put(eventChannelID, eventChannelBody(more)))
	return w
}

func TestEventChannelAndItsPartnerTopic(t *testing.T) {
	w := newWorld(t).withEventChannel(`,"partnerTopicFriendlyDescription":"Orders"`)
	c, topic := props[EventChannel](w, eventChannelID), props[PartnerTopic](w, oldTopicID)
	if c.Readiness != "NotActivatedByUserYet" || presented(t, w, eventChannelID, "filter") != "{}" || !c.Expires.Std().Equal(w.now.Add(7*day)) {
		t.Errorf("got %+v", c)
	}
	if topic.Source != "northwave/4711" || *topic.FriendlyDescription != "Orders" || topic.Message != nil || topic.ImmutableID != w.partner().ImmutableID {
		t.Errorf("got %+v", topic)
	}
	for _, step := range []struct{ do, want string }{{"activate", "ActivatedByUser"}, {"deactivate", "DeactivatedByUser"}, {"activate", "ActivatedByUser"}} {
		w.must(w.post(oldTopicID, step.do, ""))
		if c := props[EventChannel](w, eventChannelID); c.Readiness != step.want || c.Expires != nil {
			t.Errorf("after %s: %+v", step.do, c)
		}
	}
	w.must(w.put(eventChannelID, eventChannelBody(`,"partnerTopicFriendlyDescription":"Orders","expirationTimeIfNotActivatedUtc":"2026-03-03T00:00:00Z"`)))
	w.must(w.delete(oldTopicID))
	if got := props[EventChannel](w, eventChannelID).Readiness; got != "DeletedByUser" {
		t.Errorf("after the customer deleted the partner topic: %s", got)
	}
	w.must(w.delete(eventChannelID))
}

func TestEventChannelEnds(t *testing.T) {
	w := newWorld(t).withEventChannel("")
	w.must(w.delete(eventChannelID))
	if w.exists(oldTopicID) {
		t.Error("the partner topic is left")
	}
	w.must(w.put(eventChannelID, eventChannelBody("")))
	w.now = w.now.Add(7 * day)
	w.must(w.change(func(tx resource.Tx) error { return w.rules.Expire(tx, oldTopicID, w.now) }))
	if w.exists(oldTopicID) || w.exists(eventChannelID) {
		t.Error("something is left after the expiry")
	}
}

func TestEventChannelRefusals(t *testing.T) {
	replace := func(old, with string) string { return strings.Replace(eventChannelBody(""), old, with, 1) }
	for name, c := range map[string]struct {
		id    resource.ID
		body  string
		code  resource.Code
		texts []string
	}{
		"routing by channel name": {namespaceID.Child("eventChannels", "x"), eventChannelBody(""), resource.InvalidRequest, []string{"ChannelNameHeader", "event channels"}},
		"no source":               {eventChannelID, replace("northwave/4711", " "), resource.InvalidRequest, []string{"source.source"}},
		"no destination":          {eventChannelID, `{"properties":{"source":{"source":"x"}}}`, resource.InvalidRequest, []string{"destination"}},
		"subscription":            {eventChannelID, replace(customerSub, customerSub+"/resourceGroups/rg-c"), resource.InvalidRequest, []string{"destination"}},
		"group":                   {eventChannelID, replace("rg-c", "a/b"), resource.InvalidRequest, []string{"destination"}},
		"name":                    {eventChannelID, replace("pt-old", "x"), resource.InvalidRequest, []string{"partnerTopicName"}},
		"filter":                  {eventChannelID, replace(`{"properties":{`, `{"properties":{"filter":{"advancedFilters":[{"operatorType":"Resembles","key":"data.n"}]},`), resource.InvalidRequest, []string{"Invalid EventChannel request", "Resembles"}},
		"expiry":                  {eventChannelID, replace(`{"properties":{`, `{"properties":{"expirationTimeIfNotActivatedUtc":"2027-01-01T00:00:00Z",`), resource.InvalidRequest, []string{"7 days"}},
		"taken":                   {eventChannelID, replace("pt-old", "pt1"), resource.Conflict, []string{"'pt1'"}},
		"no such group":           {eventChannelID, replace("rg-c", "rg-none"), resource.PartnerNotAuthorized, []string{"rg-none"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).withChannel()
			w.must(w.put(oldNamespaceID, namespaceBody("")))
			w.wantError(w.put(c.id, c.body), c.code, c.texts...)
			if w.exists(c.id) {
				t.Error("it was created")
			}
		})
	}
	w := newWorld(t).withEventChannel("")
	w.must(w.put(eventChannelID, eventChannelBody("")))
	w.wantError(w.put(eventChannelID, strings.Replace(eventChannelBody(""), "4711", "4712", 1)), resource.InvalidRequest, "source.source")
	w.wantError(w.put(eventChannelID, eventChannelBody(`,"expirationTimeIfNotActivatedUtc":"2027-03-03T00:00:00Z"`)), resource.InvalidRequest, "7 days")
	w.must(w.post(configurationID, "unauthorizepartner", `{"partnerRegistrationImmutableId":"`+w.partner().ImmutableID+`"}`))
	w.wantError(w.put(eventChannelID, eventChannelBody("")), resource.PartnerNotAuthorized)
	w.wantError(w.delete(eventChannelID), resource.PartnerNotAuthorized)
	w.wantError(w.delete(oldNamespaceID), resource.Conflict, "'ec1'")
}

// Until the customer activates the partner topic, the partner can say more and give
// another time; the customer sees both.
func TestAnEventChannelChanges(t *testing.T) {
	w := newWorld(t).withEventChannel(`,"partnerTopicFriendlyDescription":"Orders"`)
	expiry := props[EventChannel](w, eventChannelID).Expires
	both := func(what, description string, expires *resource.Time) {
		t.Helper()
		c, topic := props[EventChannel](w, eventChannelID), props[PartnerTopic](w, oldTopicID)
		if c.Description != description || *topic.FriendlyDescription != description || !c.Expires.Same(*expires) || !topic.Expires.Same(*expires) {
			t.Errorf("%s: %+v and %+v", what, c, topic)
		}
	}
	sooner := new(resource.Time(time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)))
	w.must(w.put(eventChannelID, eventChannelBody(`,"partnerTopicFriendlyDescription":"All orders"`)))
	both("another description", "All orders", expiry)
	w.must(w.put(eventChannelID, eventChannelBody(`,"expirationTimeIfNotActivatedUtc":"2026-03-03T00:00:00Z"`)))
	both("sooner", "All orders", sooner)
	w.must(w.put(eventChannelID, eventChannelBody("")))
	both("nothing said", "All orders", sooner)
	w.must(w.post(oldTopicID, "activate", ""))
	w.must(w.put(eventChannelID, eventChannelBody(`,"partnerTopicFriendlyDescription":"Late","expirationTimeIfNotActivatedUtc":"2026-03-04T00:00:00Z"`)))
	if c, topic := props[EventChannel](w, eventChannelID), props[PartnerTopic](w, oldTopicID); c.Description != "Late" || c.Expires != nil || topic.FriendlyDescription != nil || topic.Expires != nil {
		t.Errorf("activated: %+v and %+v", c, topic)
	}
}

// presented returns one property as GET shows it.
func presented(t *testing.T, w *world, id resource.ID, property string) string {
	t.Helper()
	shown, err := w.kinds[w.get(id).Type].Present(w.get(id), resource.View{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return string(all[property])
}

func TestEventChannelFilter(t *testing.T) {
	const f = `{"enableAdvancedFilteringOnArrays":true,"advancedFilters":[{"values":["SE"],"operatorType":"StringIn","key":"data.country"}]}`
	w := newWorld(t).withEventChannel(`,"filter":` + f)
	if got := presented(t, w, eventChannelID, "filter"); got != f {
		t.Errorf("got %s", got)
	}
	compiled, err := props[EventChannel](w, eventChannelID).Filter.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]bool{`{"data":{"country":["NO","SE"]}}`: true, `{"data":{"country":"NO"}}`: false, `{}`: false} {
		if got := compiled.Match(&filter.Input{JSON: []byte(body)}); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
	w.must(w.put(eventChannelID, eventChannelBody(""))) // a PUT without it takes it away
	if compiled, err := props[EventChannel](w, eventChannelID).Filter.Compile(); compiled != nil || err != nil {
		t.Errorf("left: %v, %v", compiled, err)
	}
}
