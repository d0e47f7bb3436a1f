"""What people say when they want a sensor watched: requests to teach with, others to judge by.

They are written as in `slm/corpus/text/tools/`: `{sensor}` and `{limit}` are slots, and
`@direction=above` is what the call must hold though nobody says the word. The unseen requests were
written apart from the taught ones, and name other sensors.

>>> len(TAUGHT), len(UNSEEN), set(TAUGHT) & set(UNSEEN), set(SENSORS) & set(UNSEEN_SENSORS)
(48, 60, set(), set())
"""

SIGNATURE = (
    "watch_sensor(sensor: string, limit: number, direction: above|below) "
    "Warn when a sensor goes above or below a limit."
)

TAUGHT = """
Warn me when the {sensor} goes above {limit} degrees. @direction=above
Warn me when the {sensor} goes below {limit} degrees. @direction=below
Tell me if the {sensor} rises over {limit}. @direction=above
Tell me if the {sensor} drops under {limit}. @direction=below
I want an alarm as soon as the {sensor} is warmer than {limit} °C. @direction=above
Can you ping me once the {sensor} has cooled down to less than {limit}? @direction=below
Keep an eye on the {sensor} and shout if it climbs past {limit}. @direction=above
Keep an eye on the {sensor}: anything lower than {limit} and I need to know. @direction=below
Alert at more than {limit} bar on the {sensor}. @direction=above
Alert at less than {limit} bar on the {sensor}. @direction=below
The {sensor} must not get hotter than {limit}, let me know if it does. @direction=above
The {sensor} must not get colder than {limit}, let me know if it does. @direction=below
Should the {sensor} exceed {limit}, send me a message. @direction=above
Should the {sensor} sink to under {limit}, send me a message. @direction=below
{sensor}, alarm over {limit} @direction=above
{sensor}, alarm under {limit} @direction=below
Please watch the {sensor}, the upper limit is {limit}. @direction=above
Please watch the {sensor}, the lower limit is {limit}. @direction=below
Set a maximum of {limit} for the {sensor} and tell me when it is passed. @direction=above
Set a minimum of {limit} for the {sensor} and tell me when it is broken. @direction=below
Wake me up if it gets over {limit} degrees at the {sensor}. @direction=above
Wake me up if it freezes to below {limit} degrees at the {sensor}. @direction=below
Notify the team when the reading of the {sensor} is too high, over {limit}. @direction=above
Notify the team when the reading of the {sensor} is too low, under {limit}. @direction=below
Anything above {limit} on the {sensor} is a problem, so warn me. @direction=above
Anything below {limit} on the {sensor} is a problem, so warn me. @direction=below
I'd like to hear about it when the {sensor} reaches more than {limit}. @direction=above
I'd like to hear about it when the {sensor} is down to less than {limit}. @direction=below
The {sensor} is supposed to stay below {limit}, warn me otherwise. @direction=above
The {sensor} is supposed to stay above {limit}, warn me otherwise. @direction=below
Make sure I hear about it if the {sensor} overshoots {limit}. @direction=above
Make sure I hear about it if the {sensor} undershoots {limit}. @direction=below
Has to stay under {limit}, the {sensor}. Beep if it doesn't. @direction=above
Has to stay over {limit}, the {sensor}. Beep if it doesn't. @direction=below
New watch: {sensor}, high at {limit} @direction=above
New watch: {sensor}, low at {limit} @direction=below
If the {sensor} heats up beyond {limit} I want to be told. @direction=above
If the {sensor} falls off to beneath {limit} I want to be told. @direction=below
Monitor the {sensor} for me, with a ceiling of {limit}. @direction=above
Monitor the {sensor} for me, with a floor of {limit}. @direction=below
Let me know the moment the {sensor} hits more than {limit} percent. @direction=above
Let me know the moment the {sensor} has less than {limit} percent left. @direction=below
add a high alarm to the {sensor} at {limit} @direction=above
add a low alarm to the {sensor} at {limit} @direction=below
Sound the buzzer when the {sensor} shows {limit} and keeps rising. @direction=above
Sound the buzzer when the {sensor} shows {limit} and keeps falling. @direction=below
Don't let the {sensor} go over {limit} without telling me. @direction=above
Don't let the {sensor} go under {limit} without telling me. @direction=below
""".strip().splitlines()

UNSEEN = """
Buzz my phone the second the {sensor} gets hotter than {limit}. @direction=above
{limit} degrees is the most the {sensor} can take, alert me beyond that. @direction=above
Can you raise an alarm for the {sensor} whenever it is higher than {limit}? @direction=above
I need a warning for the {sensor} once we have passed {limit} on the way up. @direction=above
It's summer and the {sensor} heats up fast. Warn me past {limit}. @direction=above
Text me if the {sensor} ever tops {limit}. @direction=above
The manual says no more than {limit} for the {sensor}. Tell me if we break that. @direction=above
Put the {sensor} on watch, too hot means over {limit}. @direction=above
Trigger an alert once the {sensor} surpasses {limit} bar. @direction=above
When the {sensor} shoots up to over {limit}, I have to know right away. @direction=above
Give me a heads-up if the {sensor} creeps above {limit} overnight. @direction=above
Watch out for the {sensor}, I don't want it warmer than {limit} °C. @direction=above
Max for the {sensor} is {limit}, warn me above it. @direction=above
call me out if the {sensor} goes higher than {limit} @direction=above
We lose the vaccines if the {sensor} gets over {limit} degrees, so raise the alarm. @direction=above
Flag it when the {sensor} is greater than {limit}. @direction=above
Could you tell me as soon as humidity at the {sensor} is over {limit} percent? @direction=above
{sensor} above {limit} = alarm please @direction=above
I'm off for the weekend; if the {sensor} climbs higher than {limit}, let me know. @direction=above
Please set up a warning: {sensor}, greater than {limit}. @direction=above
Is there a way to be told when the {sensor} rises past {limit}? @direction=above
High temperature alarm on the {sensor}, threshold {limit}. @direction=above
The pressure at the {sensor} should never pass {limit} bar. Warn us if it does. @direction=above
Notify me if readings from the {sensor} spike over {limit}. @direction=above
The {sensor} has to remain under {limit}; raise a flag when it isn't. @direction=above
As long as the {sensor} is below {limit} all is well, otherwise alert me. @direction=above
I get nervous when the {sensor} is at more than {limit}. Warn me. @direction=above
Set the upper threshold of the {sensor} to {limit}. @direction=above
Upper alarm for the {sensor} please, {limit}. @direction=above
Somebody left the door open. Warn me if the {sensor} gets warmer than {limit}. @direction=above
Buzz my phone the second the {sensor} gets colder than {limit}. @direction=below
{limit} percent is the least the {sensor} may hold, alert me if there is less. @direction=below
Can you raise an alarm for the {sensor} whenever it is lower than {limit}? @direction=below
We run dry when the {sensor} is under {limit}, so tell me in time. @direction=below
It's going to freeze tonight. Warn me if the {sensor} dips under {limit}. @direction=below
Text me if the {sensor} ever drops lower than {limit}. @direction=below
The manual says no less than {limit} for the {sensor}. Tell me if we break that. @direction=below
Put the {sensor} on watch, too cold means under {limit}. @direction=below
Trigger an alert once the {sensor} loses pressure and is under {limit} bar. @direction=below
When the {sensor} plunges below {limit}, I have to know right away. @direction=below
Give me a heads-up if the {sensor} slips below {limit} overnight. @direction=below
Watch out for the {sensor}, I don't want it cooler than {limit} °C. @direction=below
Min for the {sensor} is {limit}, warn me below it. @direction=below
call me out if the {sensor} goes lower than {limit} @direction=below
The seedlings die if the {sensor} is under {limit} degrees, so raise the alarm. @direction=below
Flag it when the {sensor} is smaller than {limit}. @direction=below
Could you tell me as soon as the battery at the {sensor} is under {limit} percent? @direction=below
{sensor} below {limit} = alarm please @direction=below
I'm off for the weekend; if the {sensor} falls lower than {limit}, let me know. @direction=below
Please set up a warning: {sensor}, less than {limit}. @direction=below
Is there a way to be told when the {sensor} sinks past {limit}? @direction=below
Low temperature alarm on the {sensor}, threshold {limit}. @direction=below
The level of the {sensor} should never be less than {limit}. Warn us if it is. @direction=below
Notify me if readings from the {sensor} dive under {limit}. @direction=below
The {sensor} has to remain over {limit}; raise a flag when it isn't. @direction=below
As long as the {sensor} is above {limit} all is well, otherwise alert me. @direction=below
I get nervous when the {sensor} is at less than {limit}. Warn me. @direction=below
Set the lower threshold of the {sensor} to {limit}. @direction=below
Lower alarm for the {sensor} please, {limit}. @direction=below
The heating failed last night. Warn me if the {sensor} gets cooler than {limit}. @direction=below
""".strip().splitlines()

# Slots are kinds of the corpus. Most names must come from open sets: of a few dozen fixed ones a
# model learns the names by heart, and stops copying.
SENSORS = """{word};{word};{word} {int_1_40};{word} tank;{word} pump;{id};{id};pump {id};{id} gauge
{room};{room};{room} heater;{product};{product};{product} {int_1_9};{colour} tank;{colour} boiler
{city} depot;{place};{medicine} fridge;{first_name}'s greenhouse;{last_name} cellar;{company} unit
boiler;tank {int_1_40};cold room {int_1_12};greenhouse;server rack {int_1_30};north freezer
compressor;incubator;silo {int_1_20};hot water tank;battery bank;kiln {int_1_9};switch cabinet
milk tank;beehive {int_1_60};oil sump;mash tun;sterilizer
roof sensor""".replace("\n", ";").split(";")
UNSEEN_SENSORS = """vaccine fridge;cooling tower {int_1_12};hatchery;brine tank;engine room
data hall {int_1_20};terrarium;compost heap;smokehouse;aquarium {int_1_30};cheese cave;{id} probe
transformer {int_1_40};lambing shed;dough room;rain barrel;plunge pool;blood bank;probe {id}
paint booth;orchid house""".replace("\n", ";").split(";")
