package eventgrid

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/intertie/intertie/resource"
)

// idsIn returns the ids of resources that a body names, wherever they stand.
func idsIn(v any) (ids []resource.ID) {
	switch v := v.(type) {
	case string:
		if id, err := resource.ParseID(v); err == nil && id.Subscription != "" {
			ids = append(ids, id)
		}
	case []any:
		for _, inner := range v {
			ids = append(ids, idsIn(inner)...)
		}
	case map[string]any:
		for name, inner := range v {
			ids = append(ids, idsIn(name)...)
			ids = append(ids, idsIn(inner)...)
		}
	}
	return ids
}

// Whatever resource a body names, in whatever member, the caller must be allowed to
// do something with it. (TestSamplesHoldEverySettableMember sees to it that every
// member is tried.)
func TestEveryResourceThatABodyNamesIsAskedAbout(t *testing.T) {
	base := everything(t)
	for typ, s := range samples() {
		t.Run(strings.TrimPrefix(typ, Namespace+"/"), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				sent := object(s.members, s.required...).Draw(rt, "properties")
				body, err := json.Marshal(map[string]any{"location": s.location, "properties": sent})
				if err != nil {
					rt.Fatal(err)
				}
				for _, id := range idsIn(sent) {
					w := base.copy(t)
					w.authorize = func(action string, scope resource.ID) error {
						if scope.Equal(id) {
							return resource.Errorf(resource.AuthorizationFailed, "%s", action)
						}
						return nil
					}
					err := w.put(s.id, string(body))
					e, ok := errors.AsType[*resource.Error](err)
					if !ok || e.Code != resource.AuthorizationFailed || strings.HasSuffix(e.Message, "/read") || w.exists(s.id) {
						rt.Fatalf("%s names %s: got %v, want to be refused for want of more than a read", body, id, err)
					}
				}
			})
		})
	}
}

// The identities of a resource stand beside its properties.
func TestWhoMayAssignAnIdentity(t *testing.T) {
	mine, theirs := "/subscriptions/"+customerSub+"/resourceGroups/rg-c/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mine",
		"/subscriptions/"+strangerSub+"/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/theirs"
	identity := func(ids ...string) string {
		named := map[string]any{}
		for _, id := range ids {
			named[id] = map[string]any{}
		}
		text, _ := json.Marshal(map[string]any{"type": "UserAssigned", "userAssignedIdentities": named})
		return `"identity":` + string(text)
	}
	w := newWorld(t)
	w.authorize = func(action string, scope resource.ID) error {
		if action == "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action" && strings.EqualFold(scope.String(), theirs) {
			return resource.Errorf(resource.AuthorizationFailed, "not yours")
		}
		return nil
	}
	w.wantError(w.put(customTopicID, `{"location":"westeurope",`+identity(mine, strings.ToUpper(theirs))+`}`), resource.AuthorizationFailed, "not yours")
	w.must(w.put(customTopicID, `{"location":"westeurope",`+identity(mine)+`}`))
	w.wantError(w.patch(customTopicID, `{`+identity(mine, theirs)+`}`), resource.AuthorizationFailed, "not yours")
	w.must(w.patch(customTopicID, `{"tags":{"a":"b"}}`))
}

// Only whoever names another account or container is asked for it.
func TestWhoMayNameTheAccountOfDeadLetters(t *testing.T) {
	w := newWorld(t).withSubscription()
	w.must(w.patch(subscriptionID, `{`+deadLetter(account, "letters")[1:]+`}`))
	var asked []string
	w.authorize = func(action string, scope resource.ID) error {
		asked = append(asked, action+" at "+scope.String())
		return resource.Errorf(resource.AuthorizationFailed, "no")
	}
	w.must(w.patch(subscriptionID, `{"labels":["x"]}`))
	w.must(w.patch(subscriptionID, `{`+deadLetter(strings.ToUpper(account), "letters")[1:]+`}`))
	other := strings.Replace(account, "rg-c", "rg-d", 1) // an account of the same name
	for _, d := range []string{deadLetter(account, "other"), deadLetter(other, "letters"), deadLetter(strings.Replace(account, customerSub, strangerSub, 1), "letters")} {
		w.wantError(w.patch(subscriptionID, `{`+d[1:]+`}`), resource.AuthorizationFailed, "no")
	}
	want := fmt.Sprint([]string{
		"Microsoft.Storage/storageAccounts/write at " + account, "Microsoft.Storage/storageAccounts/write at " + other,
		"Microsoft.Storage/storageAccounts/write at " + strings.Replace(account, customerSub, strangerSub, 1),
	})
	if fmt.Sprint(asked) != want {
		t.Errorf("asked %v, want %v", asked, want)
	}
	for _, id := range []string{
		"/providers/Microsoft.Storage/storageAccounts/acmedata",
		"/subscriptions/" + customerSub + "/providers/Microsoft.Storage/storageAccounts/acmedata",
		topicID.String() + "/providers/Microsoft.Storage/storageAccounts/acmedata",
	} {
		w.wantError(w.patch(subscriptionID, `{`+deadLetter(id, "letters")[1:]+`}`), resource.InvalidRequest, "not the id of a storage account")
	}
}

func TestARecordThatCannotBeReadHarmsNobody(t *testing.T) {
	w := newWorld(t).withNamespace().withGrant()
	for _, id := range []resource.ID{
		customerGroup.Provider(TypePartnerRegistration, "broken"), customerGroup.Provider(TypePartnerNamespace, "broken"), resource.ID{}.Provider(TypeVerifiedPartner, "broken"),
		customerGroup.Provider(TypeSystemTopic, "broken"), customerGroup.Provider(TypeTopic, "broken").Child("eventSubscriptions", "broken"),
	} {
		r := newResource(id, w.kinds[id.Type()].Type, "global", "x", w.now)
		r.Properties = json.RawMessage(`{"partnerName":["Northwave"],"verified":"x","source":7,"topic":7,"deadLetterDestination":7,"a":"PartnerDestination","partnerRegistrationFullyQualifiedId":1}`)
		w.all.Put(r)
	}
	w.must(w.put(registrationID, named("Northwave")))
	w.must(w.put(partnerGroup.Provider(TypePartnerRegistration, "new"), named("Southwave")))
	w.must(w.delete(partnerGroup.Provider(TypePartnerRegistration, "new")))
	w.must(w.put(channelID, channelBody("")))
	w.subscribe(accountID, "es1", "")
	if _, err := partnerTopicTypes(w.all); err != nil {
		t.Error(err)
	}
	if listed := VerifiedPartners(w.all); len(listed) != 0 {
		t.Errorf("got %v", listed)
	}
	if found := subscriptionsTo(w.all, partnerDestinationID); len(found) != 0 {
		t.Errorf("got %v", found)
	}
	if found := DeadLetterAccounts(w.all); len(found) != 0 {
		t.Errorf("got %v", found)
	}
	if found := UnboundNames(w.all); len(found) != 0 {
		t.Errorf("got %v", found)
	}
}

// narrow is a transaction that does not let anybody list what all tenants have.
type narrow struct{ memory }

func (n narrow) List(typ string, scope resource.ID) []*resource.Resource {
	if scope.IsRoot() {
		panic("a list of all " + typ)
	}
	return n.memory.List(typ, scope)
}

// What a partner writes costs the same however many partners there are.
func TestARegistrationIsWrittenWithoutALookAtAllOthers(t *testing.T) {
	w := newWorld(t).withNamespace()
	write := func(id resource.ID, name string) error {
		old, _ := w.all.Get(id)
		body := resource.Body{Properties: []byte(`{"partnerName":"` + name + `"}`)}
		_, err := w.kinds[TypePartnerRegistration].Write(&resource.Write{Tx: narrow{w.all}, ID: id, Old: old, Body: body, Caller: "caller", Now: w.now})
		return err
	}
	w.must(write(registrationID, "Northwave"))
	w.must(write(registrationID, "Southwave"))
	w.must(write(customerGroup.Provider(TypePartnerRegistration, "new"), "Eastwave"))
	w.wantError(write(partnerGroup.Provider(TypePartnerRegistration, "new"), "Northwave"), resource.Conflict)
	w.wantError(write(customerGroup.Provider(TypePartnerRegistration, "new"), "Northwave"), resource.Conflict)
}
