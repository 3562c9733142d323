package eventgrid

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/resource"
)

// The rules that are checked when a channel is created. Whatever is refused
// leaves nothing behind, on neither side.
func TestChannelCreationRules(t *testing.T) {
	replace := func(old, with string) string { return strings.Replace(channelBody(""), old, with, 1) }
	type setup func(*world)
	none := func(*world) {}
	for name, c := range map[string]struct {
		before setup
		body   string
		code   resource.Code
		texts  []string
	}{
		"1 no configuration": {func(w *world) { w.must(w.delete(configurationID)) }, channelBody(""), resource.PartnerNotAuthorized, []string{"no authorization"}},
		"1 not authorized": {func(w *world) {
			w.must(w.post(configurationID, "unauthorizepartner", `{"partnerRegistrationImmutableId":"`+w.partner().ImmutableID+`"}`))
		}, channelBody(""), resource.PartnerNotAuthorized, []string{"no authorization"}},
		"2 expired": {func(w *world) { w.now = w.now.Add(8 * day) }, channelBody(""), resource.PartnerNotAuthorized, []string{"expired"}},
		"3 customer not registered": {func(w *world) {
			r := w.get(resource.SubscriptionID(customerSub)).Clone()
			w.must(resource.Encode(r, &Subscription{}))
			w.all.Put(r)
		}, channelBody(""), resource.MissingSubscriptionRegistration, []string{customerSub}},
		"4 routing by source": {func(w *world) {
			w.must(w.delete(namespaceID))
			w.must(w.put(namespaceID, namespaceBody("")))
		}, channelBody(""), resource.InvalidRequest, []string{"SourceEventAttribute", "ns1", "ChannelNameHeader"}},
		"6 topic name taken":     {func(w *world) { w.must(w.put(namespaceID.Child("channels", "other"), channelBody(""))) }, channelBody(""), resource.Conflict, []string{"'pt1'"}},
		"7 topic name too short": {none, replace(`"pt1"`, `"pt"`), resource.InvalidRequest, []string{"'pt'", "3 to 50"}},
		"7 topic name":           {none, replace(`"pt1"`, `"p_1"`), resource.InvalidRequest, []string{"'p_1'"}},
		"8 message":              {none, channelBody(`,"messageForActivation":"` + strings.Repeat("x", 257) + `"`), resource.InvalidRequest, []string{"Invalid Channel request:", "MessageForActivation", "256"}},
		"8 expiry past":          {none, channelBody(`,"expirationTimeIfNotActivatedUtc":"2026-03-01T08:59:59Z"`), resource.InvalidRequest, []string{"7 days"}},
		"8 expiry now":           {none, channelBody(`,"expirationTimeIfNotActivatedUtc":"2026-03-01T09:00:00Z"`), resource.InvalidRequest, []string{"7 days"}},
		"8 expiry far":           {none, channelBody(`,"expirationTimeIfNotActivatedUtc":"2026-03-08T09:02:00Z"`), resource.InvalidRequest, []string{"7 days"}},
		"9 no such subscription": {none, replace(customerSub, strangerSub), resource.PartnerNotAuthorized, []string{strangerSub, "no authorization"}},
		"9 no such group":        {none, replace("rg-c", "rg-none"), resource.PartnerNotAuthorized, []string{"'rg-none'", "no authorization"}},
		"subscription no GUID":   {none, replace(customerSub, "mine"), resource.InvalidRequest, []string{"'mine'", "GUID"}},
		"no group":               {none, replace("rg-c", ""), resource.InvalidRequest, []string{"resourceGroupName"}},
		"group with a path":      {none, replace("rg-c", "rg-c/providers/x/y/z"), resource.InvalidRequest, []string{"resourceGroupName"}},
		"no topic at all":        {none, `{"properties":{"channelType":"PartnerTopic"}}`, resource.InvalidRequest, []string{"partnerTopicInfo"}},
		"type":                   {none, replace("PartnerTopic", "Telegraph"), resource.InvalidRequest, []string{"'Telegraph'", "PartnerTopic, PartnerDestination"}},
		"info of the other type": {none, replace(`"PartnerTopic"`, `"PartnerDestination"`), resource.InvalidRequest, []string{"'partnerDestinationInfo' is required for a channel of type PartnerDestination"}},
		"event type name":        {none, replace(`"source"`, `"eventTypeInfo":{"inlineEventTypes":{"`+strings.Repeat("x", 129)+`":{}}},"source"`), resource.InvalidRequest, []string{"129"}},
		"event type kind":        {none, replace(`"source"`, `"eventTypeInfo":{"kind":"Outline"},"source"`), resource.InvalidRequest, []string{"Inline"}},
		"event type description": {none, replace(`"source"`, `"eventTypeInfo":{"inlineEventTypes":{"A":{"description":"`+strings.Repeat("x", 257)+`"}}},"source"`), resource.InvalidRequest, []string{"'A'"}},
		"event type title":       {none, replace(`"source"`, `"eventTypeInfo":{"inlineEventTypes":{"A":{"displayName":"`+strings.Repeat("x", 129)+`"}}},"source"`), resource.InvalidRequest, []string{"'A'"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).withNamespace().withGrant()
			c.before(w)
			taken := w.exists(topicID)
			w.wantError(w.put(channelID, c.body), c.code, c.texts...)
			if w.exists(channelID) || w.exists(topicID) != taken {
				t.Error("something was created")
			}
		})
	}
}

func TestChannelWithoutItsNamespace(t *testing.T) {
	w := newWorld(t).withNamespace().withGrant()
	orphan := partnerGroup.Provider(TypePartnerNamespace, "none").Child("channels", "ch1")
	w.wantError(w.put(orphan, channelBody("")), resource.ParentNotFound, "'none'")
	w.all.Delete(registrationID)
	w.wantError(w.put(channelID, channelBody("")), resource.Conflict, "'reg'")
}

func TestChannelDefaults(t *testing.T) {
	w := newWorld(t).withNamespace().withGrant()
	body := strings.Replace(channelBody(`,"readinessState":"Activated","provisioningState":"Failed"`), `"channelType":"PartnerTopic",`, "", 1)
	w.must(w.put(channelID, body))
	c := props[Channel](w, channelID)
	if c.Type != ChannelToPartnerTopic || c.ReadinessState != NeverActivated || c.ProvisioningState != Succeeded {
		t.Errorf("got %+v", c)
	}
	if got := c.Expires.Std(); !got.Equal(w.now.Add(7 * day)) {
		t.Errorf("expires %v", got)
	}
	for _, part := range []string{"pt1", "/northwave/4711", "3/1/2026 9:00:00 AM"} {
		if !strings.Contains(*c.Message, part) {
			t.Errorf("the message does not name %s: %s", part, *c.Message)
		}
	}
	if !strings.HasSuffix(*c.Message, " ") {
		t.Error("the service's text ends in a blank")
	}
}

func TestLimitsCountCharactersNotBytes(t *testing.T) {
	w := newWorld(t).withNamespace().withGrant()
	w.must(w.put(channelID, channelBody(`,"messageForActivation":"`+strings.Repeat("名", 256)+`"`)))
	w.must(w.patch(channelID, `{"properties":{"partnerTopicInfo":{"eventTypeInfo":{"inlineEventTypes":{"`+strings.Repeat("ä", 128)+
		`":{"displayName":"`+strings.Repeat("ä", 128)+`","description":"`+strings.Repeat("ä", 256)+`"}}}}}}`))
}

// What a client has read it may PUT back, whatever the service wrote into it;
// and what it has sent once it may send again, as deployment tools do.
func TestRepeatedPutsOfAChannel(t *testing.T) {
	w := newWorld(t).withNamespace().withGrant()
	long := strings.Replace(channelBody(""), "/northwave/4711", "/northwave/"+strings.Repeat("x", 300), 1)
	w.must(w.put(channelID, long))
	read := `{"properties":` + string(w.get(channelID).Properties) + `}`
	if len(*props[Channel](w, channelID).Message) <= maxMessage {
		t.Fatal("the text of the service is not longer than the limit")
	}
	w.must(w.put(channelID, read))
	w.must(w.put(channelID, long))
	before := w.pair()
	if before != (pair{end{true, NeverActivated, "2026-03-08", true, false, 0}, end{true, NeverActivated, "2026-03-08", true, true, 0}}) {
		t.Errorf("repeating it changed it: %+v", before)
	}
	w.must(w.post(topicID, "activate", ""))
	active := w.pair()
	for _, again := range []string{long, read} {
		w.must(w.put(channelID, again))
		if w.pair() != active {
			t.Errorf("repeating it after the activation changed it: %+v", w.pair())
		}
	}
}

func TestChannelsKeepWhatIsFixed(t *testing.T) {
	w := newWorld(t).withChannel()
	for name, c := range map[string]struct{ body, text string }{
		"subscription": {strings.Replace(channelBody(""), customerSub, partnerSub, 1), "azureSubscriptionId"},
		"group":        {strings.Replace(channelBody(""), "rg-c", "rg-d", 1), "resourceGroupName"},
		"name":         {strings.Replace(channelBody(""), "pt1", "pt2", 1), "partnerTopicInfo.name"},
		"source":       {strings.Replace(channelBody(""), "4711", "4712", 1), "source"},
		"message":      {channelBody(`,"messageForActivation":"another"`), "messageForActivation"},
	} {
		w.wantError(w.put(channelID, c.body), resource.InvalidRequest, c.text)
		if name != "message" { // a PATCH does not reach it
			w.wantError(w.patch(channelID, c.body), resource.InvalidRequest, c.text)
		}
	}
	w.must(w.put(channelID, strings.Replace(channelBody(""), "rg-c", "RG-C", 1)))
	if got := props[Channel](w, channelID).PartnerTopic.Group; got != "rg-c" {
		t.Errorf("the casing of creation is lost: %s", got)
	}
	w.must(w.patch(channelID, `{"properties":{"partnerTopicInfo":null,"channelType":null}}`))
	if p := props[Channel](w, channelID); p.PartnerTopic == nil || p.PartnerTopic.Name != "pt1" {
		t.Errorf("got %+v", p)
	}
}

func TestChannelExpiryIsBoundedFromTheChange(t *testing.T) {
	w := newWorld(t).withChannel()
	w.now = w.now.Add(6 * day)
	at := func(d time.Duration) string {
		return fmt.Sprintf(`{"properties":{"expirationTimeIfNotActivatedUtc":%q}}`, w.now.Add(d).Format(time.RFC3339))
	}
	w.wantError(w.patch(channelID, at(-time.Second)), resource.InvalidRequest, "7 days")
	w.wantError(w.patch(channelID, at(7*day+2*time.Minute)), resource.InvalidRequest, "7 days")
	w.must(w.patch(channelID, at(7*day)))
	if got := props[PartnerTopic](w, topicID).Expires.Std(); !got.Equal(w.now.Add(7 * day)) {
		t.Errorf("the partner topic expires %v", got)
	}
}

// An expired or withdrawn grant ends what the partner can do; what flows goes on.
func TestWithdrawnGrantBlocksThePartner(t *testing.T) {
	w := newWorld(t).withSubscription()
	before := w.pair()
	w.must(w.post(configurationID, "unauthorizepartner", `{"partnerRegistrationImmutableId":"`+w.partner().ImmutableID+`"}`))
	w.wantError(w.put(channelID, channelBody("")), resource.PartnerNotAuthorized)
	w.wantError(w.patch(channelID, `{"properties":{}}`), resource.PartnerNotAuthorized)
	w.wantError(w.delete(channelID), resource.PartnerNotAuthorized)
	if w.pair() != before || !w.exists(subscriptionID) {
		t.Errorf("something changed: %+v", w.pair())
	}
	w.must(w.post(topicID, "deactivate", "")) // the customer's own doing needs no grant
	w.must(w.post(topicID, "activate", ""))
	w.must(w.delete(topicID))
	if w.exists(channelID) {
		t.Error("the channel is left")
	}
}
