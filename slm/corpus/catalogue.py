"""The course's tools: one line each, as the model reads them, turned into OpenAI's tool schemas.

>>> TOOLS["lookup_order_status"]["function"]["parameters"]["required"]
['order_id']
"""

import re

SIGNATURES = """
# customer service
lookup_customer(customer_id: string) Look up a customer.
lookup_order_status(order_id: string) Look up the status of an order.
create_support_ticket(issue: string, priority: low|medium|high) Open a support ticket.
schedule_callback(customer_id: string, preferred_time: string) Arrange a call to a customer.
reset_password(email: string) Send a link to set a new password.
refund_order(order_id: string, reason: string) Pay an order back.
escalate_to_human(issue: string, customer_id: string) Hand a case to a person.
# technical support
run_diagnostics(system_id: string) Test a system.
access_knowledge_base(query: string) Search the help articles.
create_incident_report(description: string, severity: low|medium|high|critical) Report an incident.
restart_service(service: string) Restart a service.
# retail
check_inventory(product_sku: string) Say how many of a product are in stock.
find_alternatives(product_category: string) Find similar products.
create_price_quote(product_sku: string, quantity: integer) Quote a price.
store_hours(day: string) Say when the shop is open.
# business
record_invoice(vendor: string, invoice_number: string, total: number) Record an invoice.
validate_invoice(invoice_number: string) Check an invoice.
approve_invoice(invoice_number: string, approver: string) Approve an invoice.
categorize_email(category: string, urgent: boolean) Sort an email into a category.
draft_email(to: string, subject: string) Begin an email.
find_free_slot(person: string, date: string) Find free time in a calendar.
schedule_meeting(person: string, date: string, time: string) Put a meeting into the calendar.
move_meeting(meeting_id: string, date: string, time: string) Move a meeting.
# personal
get_current_time() Say what time it is.
get_weather(city: string) Say the weather in a city.
add_task(title: string, due?: string) Add a task to the list.
list_tasks() List the tasks.
complete_task(task_id: integer) Mark a task as done.
set_reminder(text: string, time: string) Set a reminder.
take_note(text: string) Write a note.
calculate(expression: string) Calculate.
convert_units(value: number, from_unit: string, to_unit: string) Convert between units.
# finance
get_stock_price(ticker: string) Say the price of a share.
set_price_alert(ticker: string, price: number) Warn at a price.
get_portfolio() List the shares held.
assess_risk(ticker: string) Assess the risk of a share.
market_report(date: string) Report on a day's market.
# healthcare
check_appointment_availability(provider_id: string, date_range: string) Find free appointments.
book_appointment(patient_name: string, date: string, time: string) Book an appointment.
refill_prescription(patient_id: string, medicine: string) Renew a prescription.
check_drug_interactions(drug_a: string, drug_b: string) Check two medicines together.
access_patient_portal(patient_id: string, auth_token: string) Open a patient's record.
record_intake(patient_name: string, symptom: string, since: string) Record a patient's symptom.
# worlds
set_thermostat(room: string, temperature: number) Set the temperature of a room.
move_robot(direction: north|south|east|west) Move the robot one tile.
clean_tile() Clean the tile under the robot.
plan_route(origin: string, destination: string, avoid_tolls?: boolean, arrive_by?: string) Plan a route.
schedule_job(job: string, hours: number, deadline: string) Schedule a job.
recommend(topic: string) Recommend something to read.
"""  # noqa: E501

SIGNATURE = re.compile(r"(?P<name>\w+)\((?P<arguments>[^)]*)\) (?P<description>.+)")
ARGUMENT = re.compile(r"(?P<name>\w+)(?P<optional>\??): (?P<type>[\w|]+)")


def tool(line: str) -> dict:
    """`name(argument: type, optional?: a|b) Description.` as an OpenAI tool."""
    match = SIGNATURE.fullmatch(line)
    if not match:
        raise ValueError(f"not a tool signature: {line!r}")
    arguments = list(ARGUMENT.finditer(match["arguments"]))
    properties = {
        a["name"]: {"type": "string", "enum": a["type"].split("|")}
        if "|" in a["type"]
        else {"type": a["type"]}
        for a in arguments
    }
    required = [a["name"] for a in arguments if not a["optional"]]
    parameters = {"type": "object", "properties": properties, "required": required}
    function = {
        "name": match["name"],
        "description": match["description"],
        "parameters": parameters,
    }
    return {"type": "function", "function": function}


TOOLS = {
    line.split("(")[0]: tool(line)
    for line in SIGNATURES.splitlines()
    if line and not line.startswith("#")
}
