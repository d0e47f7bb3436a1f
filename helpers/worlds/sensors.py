"""What people say when they want a sensor watched: requests to teach with, others to judge by.

They are written as in `slm/corpus/text/tools/`: `{sensor}` and `{limit}` are slots. The unseen
requests were written apart from the taught ones, and name other sensors.

>>> len(TAUGHT), len(UNSEEN), set(TAUGHT) & set(UNSEEN), set(SENSORS) & set(UNSEEN_SENSORS)
(48, 60, set(), set())
"""

SIGNATURE = "watch_sensor(sensor: string, limit: number) Warn when a sensor passes a limit."

TAUGHT = """
Warn me when the {sensor} goes above {limit} degrees.
Warn me when the {sensor} goes below {limit} degrees.
Tell me if the {sensor} rises over {limit}.
Tell me if the {sensor} drops under {limit}.
I want an alarm as soon as the {sensor} is warmer than {limit} °C.
Can you ping me once the {sensor} has cooled down to less than {limit}?
Keep an eye on the {sensor} and shout if it climbs past {limit}.
Keep an eye on the {sensor}: anything lower than {limit} and I need to know.
Alert at more than {limit} bar on the {sensor}.
Alert at less than {limit} bar on the {sensor}.
The {sensor} must not get hotter than {limit}, let me know if it does.
The {sensor} must not get colder than {limit}, let me know if it does.
Should the {sensor} exceed {limit}, send me a message.
Should the {sensor} sink to under {limit}, send me a message.
{sensor}, alarm over {limit}
{sensor}, alarm under {limit}
Please watch the {sensor}, the upper limit is {limit}.
Please watch the {sensor}, the lower limit is {limit}.
Set a maximum of {limit} for the {sensor} and tell me when it is passed.
Set a minimum of {limit} for the {sensor} and tell me when it is broken.
Wake me up if it gets over {limit} degrees at the {sensor}.
Wake me up if it freezes to below {limit} degrees at the {sensor}.
Notify the team when the reading of the {sensor} is too high, over {limit}.
Notify the team when the reading of the {sensor} is too low, under {limit}.
Anything above {limit} on the {sensor} is a problem, so warn me.
Anything below {limit} on the {sensor} is a problem, so warn me.
I'd like to hear about it when the {sensor} reaches more than {limit}.
I'd like to hear about it when the {sensor} is down to less than {limit}.
The {sensor} is supposed to stay below {limit}, warn me otherwise.
The {sensor} is supposed to stay above {limit}, warn me otherwise.
Make sure I hear about it if the {sensor} overshoots {limit}.
Make sure I hear about it if the {sensor} undershoots {limit}.
Has to stay under {limit}, the {sensor}. Beep if it doesn't.
Has to stay over {limit}, the {sensor}. Beep if it doesn't.
New watch: {sensor}, high at {limit}
New watch: {sensor}, low at {limit}
If the {sensor} heats up beyond {limit} I want to be told.
If the {sensor} falls off to beneath {limit} I want to be told.
Monitor the {sensor} for me, with a ceiling of {limit}.
Monitor the {sensor} for me, with a floor of {limit}.
Let me know the moment the {sensor} hits more than {limit} percent.
Let me know the moment the {sensor} has less than {limit} percent left.
add a high alarm to the {sensor} at {limit}
add a low alarm to the {sensor} at {limit}
Sound the buzzer when the {sensor} shows {limit} and keeps rising.
Sound the buzzer when the {sensor} shows {limit} and keeps falling.
Don't let the {sensor} go over {limit} without telling me.
Don't let the {sensor} go under {limit} without telling me.
""".strip().splitlines()

UNSEEN = """
Buzz my phone the second the {sensor} gets hotter than {limit}.
{limit} degrees is the most the {sensor} can take, alert me beyond that.
Can you raise an alarm for the {sensor} whenever it is higher than {limit}?
I need a warning for the {sensor} once we have passed {limit} on the way up.
It's summer and the {sensor} heats up fast. Warn me past {limit}.
Text me if the {sensor} ever tops {limit}.
The manual says no more than {limit} for the {sensor}. Tell me if we break that.
Put the {sensor} on watch, too hot means over {limit}.
Trigger an alert once the {sensor} surpasses {limit} bar.
When the {sensor} shoots up to over {limit}, I have to know right away.
Give me a heads-up if the {sensor} creeps above {limit} overnight.
Watch out for the {sensor}, I don't want it warmer than {limit} °C.
Max for the {sensor} is {limit}, warn me above it.
call me out if the {sensor} goes higher than {limit}
We lose the vaccines if the {sensor} gets over {limit} degrees, so raise the alarm.
Flag it when the {sensor} is greater than {limit}.
Could you tell me as soon as humidity at the {sensor} is over {limit} percent?
{sensor} above {limit} = alarm please
I'm off for the weekend; if the {sensor} climbs higher than {limit}, let me know.
Please set up a warning: {sensor}, greater than {limit}.
Is there a way to be told when the {sensor} rises past {limit}?
High temperature alarm on the {sensor}, threshold {limit}.
The pressure at the {sensor} should never pass {limit} bar. Warn us if it does.
Notify me if readings from the {sensor} spike over {limit}.
The {sensor} has to remain under {limit}; raise a flag when it isn't.
As long as the {sensor} is below {limit} all is well, otherwise alert me.
I get nervous when the {sensor} is at more than {limit}. Warn me.
Set the upper threshold of the {sensor} to {limit}.
Upper alarm for the {sensor} please, {limit}.
Somebody left the door open. Warn me if the {sensor} gets warmer than {limit}.
Buzz my phone the second the {sensor} gets colder than {limit}.
{limit} percent is the least the {sensor} may hold, alert me if there is less.
Can you raise an alarm for the {sensor} whenever it is lower than {limit}?
We run dry when the {sensor} is under {limit}, so tell me in time.
It's going to freeze tonight. Warn me if the {sensor} dips under {limit}.
Text me if the {sensor} ever drops lower than {limit}.
The manual says no less than {limit} for the {sensor}. Tell me if we break that.
Put the {sensor} on watch, too cold means under {limit}.
Trigger an alert once the {sensor} loses pressure and is under {limit} bar.
When the {sensor} plunges below {limit}, I have to know right away.
Give me a heads-up if the {sensor} slips below {limit} overnight.
Watch out for the {sensor}, I don't want it cooler than {limit} °C.
Min for the {sensor} is {limit}, warn me below it.
call me out if the {sensor} goes lower than {limit}
The seedlings die if the {sensor} is under {limit} degrees, so raise the alarm.
Flag it when the {sensor} is smaller than {limit}.
Could you tell me as soon as the battery at the {sensor} is under {limit} percent?
{sensor} below {limit} = alarm please
I'm off for the weekend; if the {sensor} falls lower than {limit}, let me know.
Please set up a warning: {sensor}, less than {limit}.
Is there a way to be told when the {sensor} sinks past {limit}?
Low temperature alarm on the {sensor}, threshold {limit}.
The level of the {sensor} should never be less than {limit}. Warn us if it is.
Notify me if readings from the {sensor} dive under {limit}.
The {sensor} has to remain over {limit}; raise a flag when it isn't.
As long as the {sensor} is above {limit} all is well, otherwise alert me.
I get nervous when the {sensor} is at less than {limit}. Warn me.
Set the lower threshold of the {sensor} to {limit}.
Lower alarm for the {sensor} please, {limit}.
The heating failed last night. Warn me if the {sensor} gets cooler than {limit}.
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
