package eventgrid

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

func named(name string) string {
	text, _ := json.Marshal(name)
	return `{"properties":{"partnerName":` + string(text) + `}}`
}

// grantOf is the body of a grant by name.
func grantOf(name string) string { return `{"partnerName":"` + name + `"}` }

func TestNamesThatLookAlikeAreOneName(t *testing.T) {
	w := newWorld(t).withNamespace() // Northwave
	theirs := customerGroup.Provider(TypePartnerRegistration, "theirs")
	for _, name := range []string{
		"Northwave", "NORTHWAVE", "North wave", "North-Wave", "N.o.r.t.h_wave", // the same letters
		"Northwave ", " Northwave", "North  wave", "Northwave\u00a0", "North\u200bwave", "North\u00adwave", "\u2060Northwave", "Northwave\t", "Northwave\n",
		"Nоrthwave", "Ｎorthwave", "Northwavе", "Northw\u0061\u0301ve", "Northwave\x00", "Northwave.", // letters of other scripts, marks, ends
	} {
		err := w.put(theirs, named(name))
		e, ok := err.(*resource.Error) //nolint:errorlint // as it comes
		if !ok || e.Code != resource.Conflict && e.Code != resource.InvalidRequest {
			t.Errorf("%q: %v", name, err)
		}
	}
	w.must(w.put(theirs, named("Northwave2")))
	for _, name := range []string{"Northwave.Orders\u200b", " x", "a/b", "Nоrthwave"} {
		text, err := json.Marshal(name)
		w.must(err)
		w.wantError(w.put(theirs, `{"properties":{"partnerResourceTypeName":`+string(text)+`}}`), resource.InvalidRequest, "partnerResourceTypeName")
	}
}

// A name that was given up stays with the subscription.
func TestNamesStayReserved(t *testing.T) {
	w := newWorld(t)
	theirs := customerGroup.Provider(TypePartnerRegistration, "theirs")
	w.must(w.put(registrationID, named("Northwave")))
	w.must(w.put(registrationID, named("Southwave"))) // renamed
	w.wantError(w.put(theirs, named("Northwave")), resource.Conflict, "Northwave")
	w.must(w.delete(registrationID))
	for _, name := range []string{"Northwave", "southwave", "South wave"} {
		w.wantError(w.put(theirs, named(name)), resource.Conflict, name)
	}
	// Its own subscription may use it again, but for one registration at a time.
	again := partnerGroup.Provider(TypePartnerRegistration, "again")
	w.must(w.put(again, named("Southwave")))
	w.must(w.put(again, named("Southwave")))
	w.wantError(w.put(registrationID, named("Southwave")), resource.Conflict, "Southwave")
	w.must(w.put(registrationID, named("Northwave")))
}

func TestSubscriptionsReserveSoManyNames(t *testing.T) {
	w := newWorld(t)
	for i := range maxNamesReserved {
		w.must(w.put(registrationID, named(fmt.Sprint("Partner ", i))))
	}
	w.wantError(w.put(registrationID, named("One more")), resource.Conflict, fmt.Sprint(maxNamesReserved))
	w.must(w.put(registrationID, named("Partner 1")))
	w.must(w.put(customerGroup.Provider(TypePartnerRegistration, "theirs"), named("One more")))
}

// getsIn tells whether the partner of a registration gets in now.
func (w *world) getsIn() error {
	copied := *w // nothing of the attempt stays
	return copied.put(channelID, channelBody(""))
}

func TestAGrantByNameIsForWhoHadTheName(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(configurationID, `{}`))
	w.must(w.post(configurationID, "authorizepartner", grantOf("Northwave"))) // nobody has it yet
	w.withNamespace()
	w.wantError(w.getsIn(), resource.PartnerNotAuthorized, "no authorization")
	read := w.show(configurationID, resource.ID{})
	if strings.Contains(read, "holder") {
		t.Errorf("a read shows whom the name is bound to: %s", read)
	}
	// What a client sends back is not given anew.
	w.must(w.put(configurationID, `{"properties":`+read+`}`))
	w.wantError(w.getsIn(), resource.PartnerNotAuthorized, "no authorization")
	w.must(w.post(configurationID, "authorizepartner", `{"partnerName":"northwave","holderOfName":"`+otherPartner+`"}`))
	w.must(w.getsIn())
	read = w.show(configurationID, resource.ID{})
	w.must(w.put(configurationID, `{"properties":`+strings.Replace(read, `"partnerName"`, `"holderOfName":"`+otherPartner+`","partnerName"`, 1)+`}`))
	w.must(w.getsIn())

	// Renamed, it is still the one that was meant; who gets the name is not.
	w.must(w.put(registrationID, named("Eastwave")))
	w.must(w.getsIn())
	w.must(w.put(partnerGroup.Provider(TypePartnerRegistration, "other"), named("Northwave")))
	other := strings.Replace(namespaceBody(`,"partnerTopicRoutingMode":"ChannelNameHeader"`), "partnerRegistrations/reg", "partnerRegistrations/other", 1)
	ns2 := partnerGroup.Provider(TypePartnerNamespace, "ns2")
	w.must(w.put(ns2, other))
	w.wantError(w.put(ns2.Child("channels", "ch1"), channelBody("")), resource.PartnerNotAuthorized, "no authorization")
}

func TestUnauthorizingLeavesNoWayIn(t *testing.T) {
	at := `"2026-03-05T09:00:00Z"`
	byID := func(w *world) string { return `{"partnerRegistrationImmutableId":"` + w.partner().ImmutableID + `"}` }
	for name, body := range map[string]func(*world) string{
		"by id":            byID,
		"by name":          func(*world) string { return grantOf("NORTHWAVE") },
		"by id and a name": func(w *world) string { return strings.Replace(byID(w), "}", `,"partnerName":"Whatever"}`, 1) },
		"by its new name":  func(w *world) string { w.must(w.put(registrationID, named("Eastwave"))); return grantOf("eastwave") },
		"by its old name":  func(w *world) string { w.must(w.put(registrationID, named("Eastwave"))); return grantOf("Northwave") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).withNamespace()
			id := w.partner().ImmutableID
			w.must(w.put(configurationID, configurationBody(10, strings.Join([]string{
				`{"partnerRegistrationImmutableId":"` + id + `"}`,
				`{"partnerName":"Northwave"}`,
				`{"partnerName":"northwave","authorizationExpirationTimeInUtc":` + at + `}`,
				`{"partnerRegistrationImmutableId":"` + id + `","partnerName":"Northwave"}`,
				`{"partnerRegistrationImmutableId":"` + otherPartner + `"}`,
				`{"partnerName":"Somebody else"}`,
			}, ","))))
			w.must(w.getsIn())
			w.must(w.post(configurationID, "unauthorizepartner", body(w)))
			w.wantError(w.getsIn(), resource.PartnerNotAuthorized, "no authorization")
			w.wantGrants(otherPartner+"/-/10", "-/Somebody else/10")
		})
	}
}

func TestARegistrationIsOpenAtEveryWrite(t *testing.T) {
	open, closed := `{"properties":{"partnerName":"Northwave","authorizedAzureSubscriptionIds":["`+strings.ToUpper(strangerSub)+`"]}}`, `{"properties":{"partnerName":"Northwave","authorizedAzureSubscriptionIds":[]}}`
	for kind, c := range map[string]struct{ mode, body, changed string }{
		"channels":      {"ChannelNameHeader", channelBody(""), `{"properties":{"expirationTimeIfNotActivatedUtc":"2026-03-04T09:00:00Z"}}`},
		"eventChannels": {"SourceEventAttribute", eventChannelBody(""), ""},
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t).withNamespace().withGrant()
			group := resource.GroupID(strangerSub, "rg-s")
			sub := w.get(resource.SubscriptionID(partnerSub)).Clone()
			sub.ID = resource.SubscriptionID(strangerSub)
			w.all.Put(sub)
			w.all.Put(&resource.Resource{ID: group, UID: resource.NewUID(), Type: resource.TypeGroup, Location: "westeurope"})
			ns := group.Provider(TypePartnerNamespace, "theirs")
			body := namespaceBody(`,"partnerTopicRoutingMode":"` + c.mode + `"`)
			w.wantError(w.put(ns, body), resource.InvalidRequest, "not open")
			w.must(w.put(registrationID, open))
			w.must(w.put(ns, body))
			channel := ns.Child(kind, "ch1")
			w.must(w.put(channel, c.body))
			w.must(w.put(registrationID, closed))
			w.wantError(w.put(ns.Child(kind, "ch2"), c.body), resource.AuthorizationFailed, "not open", strangerSub)
			w.wantError(w.put(channel, c.body), resource.AuthorizationFailed, "not open")
			if c.changed != "" {
				w.wantError(w.patch(channel, c.changed), resource.AuthorizationFailed, "not open")
			}
			w.must(w.put(registrationID, open))
			w.must(w.put(channel, c.body))
			w.must(w.put(registrationID, closed))
			w.must(w.delete(channel)) // to take back what is there stays possible
		})
	}
}

// Until there is a grant, every customer's side looks the same.
func TestAPartnerWithoutAGrantLearnsNothing(t *testing.T) {
	w := newWorld(t).withNamespace()
	empty := resource.GroupID(customerSub, "rg-empty")
	w.all.Put(&resource.Resource{ID: empty, UID: resource.NewUID(), Type: resource.TypeGroup, Location: "westeurope"})
	w.must(w.put(configurationID, configurationBody(7, `{"partnerName":"Somebody else"}`)))
	texts := map[string]string{}
	for name, c := range map[string]struct{ sub, group string }{
		"a configuration without the partner": {customerSub, "rg-c"},
		"no configuration":                    {customerSub, "rg-empty"},
		"no group":                            {customerSub, "rg-none"},
		"no subscription":                     {strangerSub, "rg-c"},
	} {
		body := strings.NewReplacer(customerSub, c.sub, "rg-c", c.group).Replace(channelBody(""))
		err := w.put(channelID, body)
		w.wantError(err, resource.PartnerNotAuthorized)
		texts[strings.NewReplacer(c.sub, "SUB", c.group, "GROUP").Replace(fmt.Sprint(err))] = name
	}
	if len(texts) != 1 {
		t.Errorf("the answers differ: %v", texts)
	}
}

// Records of an installation that knew none of this.
func TestNamesAndGrantsOfBefore(t *testing.T) {
	w := newWorld(t).withNamespace()
	w.must(w.put(configurationID, configurationBody(10, `{"partnerName":"northwave"},{"partnerName":"Nobody"},{"partnerRegistrationImmutableId":"`+otherPartner+`"}`)))
	w.must(w.change(func(tx resource.Tx) error {
		tx.Delete(partnerNameID("Northwave"))
		r, _ := tx.Get(configurationID)
		return change(tx, r, "x", w.now, func(p *PartnerConfiguration) {
			for i := range p.Authorization.Partners {
				p.Authorization.Partners[i].Holder = nil
			}
		})
	}))
	w.must(w.getsIn()) // until then a name is only a name
	adopt := func() int {
		changed := 0
		for _, id := range UnboundNames(w.all) {
			w.must(w.change(func(tx resource.Tx) error { return BindNames(tx, id, w.now) }))
			changed++
		}
		return changed
	}
	if n := adopt(); n != 2 {
		t.Errorf("%d records are changed, want 2", n)
	}
	if n := adopt(); n != 0 {
		t.Errorf("%d records are changed the second time", n)
	}
	w.must(w.getsIn())
	theirs := customerGroup.Provider(TypePartnerRegistration, "theirs")
	w.wantError(w.put(theirs, named("Northwave")), resource.Conflict)
	var bound []string
	for _, g := range props[PartnerConfiguration](w, configurationID).Authorization.Partners {
		if g.Holder == nil {
			bound = append(bound, "none")
		} else {
			bound = append(bound, strings.Replace(*g.Holder, w.partner().ImmutableID, "Northwave", 1))
		}
	}
	if diff := cmp.Diff([]string{"Northwave", "", "none"}, bound); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
