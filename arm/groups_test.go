package arm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

func TestResourceGroups(t *testing.T) {
	f := newFixture(t)
	g := "/subscriptions/" + customerSub + "/resourcegroups/rg-new"
	f.do("owner", "HEAD", g, "").want(404)
	f.get("owner", g).wantError(404, "ResourceGroupNotFound", "'rg-new'")
	f.patch("owner", g, `{}`).wantError(404, "ResourceGroupNotFound")
	f.put("owner", g, `{}`).wantError(400, "LocationRequired")
	a := f.put("owner", g, `{"location":"West Europe","tags":{"a":"b"}}`).want(201)
	want := map[string]any{
		"id": strings.Replace(g, "resourcegroups", "resourceGroups", 1), "name": "rg-new", "type": "Microsoft.Resources/resourceGroups", "location": "westeurope",
		"tags": map[string]any{"a": "b"}, "properties": map[string]any{"provisioningState": "Succeeded"},
	}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a = f.do("owner", "HEAD", g, "").want(204)
	if a.raw != "" {
		t.Errorf("HEAD with a body: %s", a.raw)
	}
	// az group update reads and puts back; another location is a conflict.
	f.put("owner", g, `{"location":"westeurope","tags":{"a":"c"}}`).want(200)
	f.put("owner", g, `{"location":"eastus"}`).wantError(409, "InvalidResourceGroupLocation", "'eastus'", "'westeurope'")
	if a := f.patch("owner", strings.ToUpper(g), `{"tags":{"x":"y"}}`).want(200); a.at("tags", "x") != "y" || a.at("name") != "rg-new" {
		t.Errorf("got %s", a.raw)
	}
	if a := f.patch("owner", g, `{}`).want(200); a.at("tags", "x") != "y" {
		t.Errorf("got %s", a.raw)
	}
	if a := f.put("owner", g, `{"location":"westeurope"}`).want(200); !strings.Contains(a.raw, `"tags":{}`) {
		t.Errorf("got %s", a.raw)
	}
	if diff := cmp.Diff([]string{"rg-c", "rg-new"}, f.get("owner", "/subscriptions/"+customerSub+"/resourcegroups").want(200).names()); diff != "" {
		t.Error(diff)
	}
	f.post("owner", g, "").wantError(405, "HttpMethodNotAllowed")
	f.delete("owner", g).want(200)
	f.delete("owner", g).wantError(404, "ResourceGroupNotFound")
	f.get("owner", "/subscriptions/"+noSub+"/resourcegroups").wantError(404, "SubscriptionNotFound")
	f.put("owner", strings.Replace(g, customerSub, noSub, 1), `{"location":"x"}`).wantError(404, "SubscriptionNotFound")
}

func TestResourceGroupNames(t *testing.T) {
	f := newFixture(t)
	at := "/subscriptions/" + customerSub + "/resourcegroups/"
	for name, want := range map[string]int{
		"a": 201, "a.b": 201, "(x)_-": 201, "Gr%C3%BC%C3%9Fe": 201, strings.Repeat("x", 90): 201,
		"a.": 400, "a%20b": 400, "a%3Bb": 400, strings.Repeat("x", 91): 400, "%FF": 400, "%2e%2e": 400,
	} {
		f.put("owner", at+name, `{"location":"westeurope"}`).want(want)
	}
}

// Deleting the customer's group takes the partner's channels along, and the
// other way round; the other side's group stays.
func TestDeletingAGroupWithAllInIt(t *testing.T) {
	for name, c := range map[string]struct {
		group      string
		gone, left []string
	}{
		"customer": {customerRG, []string{topic, eventSub, config, channel}, []string{namespace, registration}},
		"partner":  {partnerRG, []string{topic, eventSub, channel, namespace, registration}, []string{config}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t).partnerFlow()
			f.role("guest", access.RoleReader, c.group)
			f.role("owner of one", access.RoleOwner, c.group)
			f.delete("owner of one", c.group).want(200)
			for _, id := range append(c.gone, c.group) {
				parsed, err := resource.ParseID(id)
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := f.store.Get(parsed); ok {
					t.Errorf("%s is left", id)
				}
			}
			for _, id := range c.left {
				f.get("owner", id).want(200)
			}
			// Roles in a group go with it: another group of that name is another one.
			f.put("owner", c.group, `{"location":"westeurope"}`).want(201)
			f.get("guest", c.group).want(403)
		})
	}
}

func TestDeletingAPartnersGroupNeedsTheCustomersGrant(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.post("owner", config+"/unauthorizePartner", `{"partnerName":"northwave"}`).want(200)
	f.delete("owner", partnerRG).wantError(403, "PartnerNotAuthorized")
	f.get("owner", channel).want(200)
	f.get("owner", topic).want(200)
}

func TestDeletingAGroupInUseElsewhere(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.put("owner", partnerRG+"2", `{"location":"westeurope"}`).want(201)
	f.put("owner", partnerRG+"2"+provider+"/partnerNamespaces/ns2", `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"`+registration+`"}}`).want(201)
	f.delete("owner", partnerRG).wantError(409, "Conflict", "'ns2'")
	f.get("owner", partnerRG).want(200)
	f.get("owner", topic).want(200)
}

// More than one transaction takes.
func TestDeletingABigGroup(t *testing.T) {
	f := newFixture(t)
	for i := range 2*deletionChunk + 1 {
		f.put("owner", partnerRG+provider+fmt.Sprintf("/partnerRegistrations/reg-%d", i), `{}`).want(200)
	}
	f.delete("owner", partnerRG).want(200)
	f.get("owner", partnerRG).want(404)
	f.put("owner", partnerRG, `{"location":"westeurope"}`).want(201)
	if got := f.get("owner", partnerRG+provider+"/partnerRegistrations").names(); len(got) != 0 {
		t.Errorf("%d are left", len(got))
	}
}
