"""The words that the rules for entities know: small lists, chosen for how seldom they mislead.

Everything is compared folded. A list that would need thousands of words to be of use is not here: the rules ask for
context instead.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    """One word or phrase between each two commas."""
    return frozenset(phrase for part in text.split(",") if (phrase := " ".join(part.split())))


MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_NUMBERS = {month.casefold(): number for number, month in enumerate(MONTHS, 1)} | {
    month[:3].casefold(): number for number, month in enumerate(MONTHS, 1)
}

TITLES = _words("mr, mrs, ms, miss, dr, prof, professor, sir, dame, lady, lord, uncle, aunt, auntie, maestro, father")

# Who somebody is to somebody: "my sister Anna".
KIN = _words("""
    mother, mom, mum, mama, father, dad, papa, parent, stepmother, stepfather, sister, brother, sibling, stepsister,
    stepbrother, half-sister, half-brother, son, daughter, child, kid, baby, wife, husband, partner, spouse, fiancé,
    fiancée, fiance, fiancee, girlfriend, boyfriend, ex, uncle, aunt, cousin, nephew, niece, grandmother, grandma,
    grandfather, grandpa, grandson, granddaughter, twin, godmother, godfather, godson, goddaughter, sister-in-law,
    brother-in-law, mother-in-law, father-in-law, friend, buddy, mate, roommate, flatmate, housemate, neighbour,
    neighbor, colleague, coworker, co-worker, boss, manager, mentor, teacher, tutor, coach, student, pupil, assistant,
    doctor, dentist, therapist, lawyer, agent, landlord, bandmate, drummer, bassist, guitarist, singer, pianist,
    violinist, cellist, producer, conductor, accompanist, dog, puppy, cat, kitten, pet, horse, rabbit, parrot, hamster
""")

# What only somebody does; a capitalised word before one of these is a person.
HUMAN_VERBS = _words("""
    said, says, told, tells, asked, asks, lives, lived, sings, sang, teaches, taught, thinks, thought, laughed,
    smiled, cooks, cooked, married, plays, played, works, worked, loves, loved, likes, liked, wants, wanted, wrote,
    writes, called, phoned, texted, emailed, replied, agreed, joined, moved, studies, studied, knows, knew,
    introduced, invited, visited, practises, practices, rehearses, composes, composed, conducts, performed, hates,
    prefers, suggested
""")

# What is done to somebody: "I met Ingrid".
MEETING_WORDS = _words("""
    met, meet, meeting, ask, asked, tell, told, thank, thanks, hi, hello, hey, dear, text, texted, phoned, married,
    marry, dating, hug, hugged, kissed, invited, invite, introduced, named, visited grandma
""")

# A capitalised word after one of these and `in`, `at`, `to`, `from` or `near` is a place.
PLACE_VERBS = _words("""
    live, lives, lived, living, move, moves, moved, moving, born, based, stay, stays, stayed, staying, travel,
    travels, traveled, travelled, traveling, travelling, fly, flies, flew, flying, drive, drove, driving, settled,
    grew, up, trip, trips, holiday, holidays, vacation, visit, visits, visited, visiting, journey, raised, relocated,
    relocating, come, comes, came, go, goes, went, going, flat, house, apartment, home, back, am, is, are, was, were,
    city, town, village, concert, gig, tour
""")
PLACE_PREPOSITIONS = _words("in, at, to, from, near, around, outside, visit, visited, visiting, of")
WORK_VERBS = _words("""
    work, works, worked, working, job, intern, interned, internship, employed, study, studies, studied, studying,
    teach, teaches, taught, teaching, enrolled, graduated, hired, signed, career, position, professor
""")

ORGANISATION_ENDS = _words("""
    ltd, limited, inc, llc, gmbh, plc, corp, corporation, ag, records, recordings, studio, studios, university,
    college, school, academy, conservatory, conservatoire, institute, orchestra, philharmonic, symphony, quartet,
    quintet, trio, sextet, octet, ensemble, band, choir, chorale, chorus, opera, ballet, company, group, foundation,
    society, association, federation, agency, ministry, department, committee, council, union, bank, museum, library,
    hospital, clinic, church, gallery, publishing, publishers, press, magazine, times, festival, label, collective,
    labs, laboratory, laboratories, airlines, airways, consulting, partners, solutions, systems, technologies,
    software, games, motors, pharmacy, bakery, brewery, brothers, club, team, fc, united
""")
# "the band Night Owls", "a band called Night Owls".
GROUPS = _words(
    "band, group, orchestra, choir, ensemble, company, label, startup, start-up, studio, duo, trio, quartet"
)
ORGANISATION_STARTS = _words("""
    university, institute, bank, museum, academy, school, college, ministry, department, conservatory, conservatoire,
    church, society, orchestra
""")
PLACE_ENDS = _words("""
    street, road, avenue, lane, boulevard, park, square, bridge, river, lake, mountain, mountains, beach, island,
    islands, valley, hill, hills, forest, desert, bay, coast, canyon, falls, castle, palace, tower, airport, station,
    stadium, arena, hall, room, café, cafe, bar, pub, restaurant, hotel, hostel, inn, market, garden, gardens,
    cathedral, theatre, theater, city, county, district, province, peninsula, harbour, harbor, terrace, plaza,
    basement, lounge
""")
ORGANISATIONS = _words("""
    google, microsoft, apple, amazon, netflix, spotify, bandcamp, soundcloud, youtube, facebook, instagram, tiktok,
    ibm, intel, nvidia, sony, samsung, nokia, siemens, bosch, ikea, tesla, toyota, volkswagen, bmw, adidas, nike,
    deezer, universal music, warner music, deutsche grammophon, ecm, emi, motown, bbc, nasa, nhs, unicef, unesco, mit,
    ucla, juilliard, berklee, ircam, openai, anthropic, mozilla, wikipedia, greenpeace, red cross, united nations
""")

# Connect the capitalised words of one name.
CONNECTORS = _words("of, de, da, del, della, di, do, dos, du, la, le, van, von, der, den, ter, bin, ibn, al, el, y")

PLACES = _words("""
    afghanistan, albania, algeria, andorra, angola, argentina, armenia, australia, austria, azerbaijan, bahamas,
    bahrain, bangladesh, barbados, belarus, belgium, belize, benin, bhutan, bolivia, bosnia, botswana, brazil, brunei,
    bulgaria, burkina faso, burundi, cambodia, cameroon, canada, cape verde, chad, chile, china, colombia, congo,
    costa rica, croatia, cuba, cyprus, czechia, czech republic, denmark, djibouti, dominica, dominican republic,
    ecuador, egypt, el salvador, england, eritrea, estonia, eswatini, ethiopia, fiji, finland, france, gabon, gambia,
    georgia, germany, ghana, great britain, greece, greenland, grenada, guatemala, guinea, guyana, haiti, honduras,
    hungary, iceland, india, indonesia, iran, iraq, ireland, israel, italy, ivory coast, jamaica, japan, jordan,
    kazakhstan, kenya, kosovo, kuwait, kyrgyzstan, laos, latvia, lebanon, lesotho, liberia, libya, liechtenstein,
    lithuania, luxembourg, madagascar, malawi, malaysia, maldives, mali, malta, mauritania, mauritius, mexico,
    moldova, monaco, mongolia, montenegro, morocco, mozambique, myanmar, namibia, nepal, netherlands, new zealand,
    nicaragua, niger, nigeria, north korea, north macedonia, northern ireland, norway, oman, pakistan, palestine,
    panama, papua new guinea, paraguay, peru, philippines, poland, portugal, qatar, romania, russia, rwanda, samoa,
    saudi arabia, scotland, senegal, serbia, seychelles, sierra leone, singapore, slovakia, slovenia, somalia, south
    africa, south korea, south sudan, spain, sri lanka, sudan, suriname, sweden, switzerland, syria, taiwan,
    tajikistan, tanzania, thailand, togo, tonga, trinidad, tunisia, türkiye, turkey, turkmenistan, uganda, ukraine,
    united arab emirates, united kingdom, uk, united states, usa, uruguay, uzbekistan, vanuatu, vatican city,
    venezuela, vietnam, wales, yemen, zambia, zimbabwe, europe, asia, africa, north america, south america,
    antarctica, oceania, scandinavia, balkans, caribbean, alps, andes, himalayas, sahara, siberia, tuscany, bavaria,
    catalonia, andalusia, brittany, normandy, provence, sicily, sardinia, corsica, crete, bali, hawaii, alaska,
    arizona, california, colorado, connecticut, florida, idaho, illinois, indiana, iowa, kansas, kentucky, louisiana,
    maine, maryland, massachusetts, michigan, minnesota, mississippi, missouri, montana, nebraska, nevada, new
    hampshire, new jersey, new mexico, new york, new york city, nyc, ohio, oklahoma, oregon, pennsylvania, rhode
    island, tennessee, texas, utah, vermont, wisconsin, wyoming, ontario, quebec, british columbia, alberta, nova
    scotia, queensland, tasmania, brooklyn, manhattan, queens, harlem, hollywood, aberdeen, abu dhabi, accra, addis
    ababa, adelaide, albuquerque, alexandria, algiers, almaty, amman, amsterdam, ankara, antwerp, athens, atlanta,
    auckland, austin, baghdad, baku, baltimore, bangalore, bangkok, barcelona, basel, bath, beijing, beirut, belfast,
    belgrade, bergen, berlin, bern, bilbao, birmingham, bogotá, bogota, bologna, bordeaux, boston, braga, bratislava,
    bremen, brighton, brisbane, bristol, brno, bruges, brussels, bucharest, budapest, buenos aires, buffalo, cairo,
    calgary, cambridge, cape town, caracas, cardiff, casablanca, charleston, charlotte, chengdu, chennai, chicago,
    cincinnati, cleveland, cluj, coimbra, cologne, copenhagen, cork, cracow, dakar, dallas, damascus, delhi, denver,
    detroit, doha, dortmund, dresden, dubai, dublin, dubrovnik, durban, düsseldorf, edinburgh, eindhoven, essen, faro,
    florence, frankfurt, freiburg, galway, gdańsk, gdansk, geneva, genoa, ghent, glasgow, gothenburg, granada, graz,
    guadalajara, guangzhou, haifa, hamburg, hanoi, hanover, harare, havana, heidelberg, helsinki, hiroshima, ho chi
    minh city, hong kong, honolulu, houston, hyderabad, ibiza, indianapolis, innsbruck, islamabad, istanbul, izmir,
    jakarta, jerusalem, johannesburg, kabul, kampala, kansas city, karachi, kathmandu, kharkiv, kiel, kigali,
    kingston, kinshasa, kobe, kolkata, kraków, krakow, kuala lumpur, kyiv, kyoto, lagos, lahore, las vegas, lausanne,
    leeds, leicester, leipzig, lille, lima, limerick, linz, lisbon, liverpool, ljubljana, łódź, london, los angeles,
    louisville, luanda, lucerne, lviv, lyon, madrid, malaga, málaga, malmö, manila, manchester, mannheim, marrakesh,
    marseille, medellín, melbourne, memphis, mexico city, miami, milan, milwaukee, minneapolis, minsk, montevideo,
    montpellier, montreal, moscow, mumbai, munich, nagoya, nairobi, nantes, naples, nashville, newcastle, new orleans,
    nice, norwich, nottingham, novosibirsk, nuremberg, oakland, odesa, odessa, oklahoma city, orlando, osaka, oslo,
    ottawa, oxford, padua, palermo, palma, paris, perth, perugia, philadelphia, phoenix, pisa, pittsburgh, plovdiv,
    plymouth, portland, porto, poznań, poznan, prague, pristina, quito, rabat, raleigh, ravenna, reykjavik, reykjavík,
    riga, rio de janeiro, riyadh, rome, rotterdam, sacramento, saigon, saint petersburg, st petersburg, salt lake
    city, salzburg, san antonio, san diego, san francisco, san jose, san sebastián, santiago, são paulo, sao paulo,
    sapporo, sarajevo, seattle, seoul, seville, shanghai, sheffield, shenzhen, skopje, sofia, split, stockholm,
    strasbourg, stuttgart, sydney, taipei, tallinn, tampa, tampere, tbilisi, tehran, tel aviv, the hague,
    thessaloniki, tirana, tokyo, toronto, toulouse, trieste, tripoli, trondheim, tunis, turin, turku, uppsala,
    utrecht, valencia, valletta, vancouver, venice, verona, vienna, vilnius, warsaw, washington, wellington, winnipeg,
    wrocław, wroclaw, yangon, yerevan, york, zagreb, zurich, zürich
""")
# Places that are given names as well: without a word of place before it, such a name is a person's.
PERSONAL_PLACES = _words("""
    jordan, chad, georgia, charlotte, florence, sydney, austin, adelaide, sofia, alexandria, orlando, verona,
    kingston, paris, madison, brooklyn, israel, charleston, raleigh, washington, phoenix, santiago, valencia, lima,
    carolina, montana, dakota, trinidad, india
""")
# Places that are common words as well: only with a word of place before it.
COMMON_PLACES = _words("nice, split, bath, reading, cork, buffalo, essen, turkey, faro, bergen, queens, guinea, mobile")

GIVEN_NAMES = _words("""
    aaron, abdul, abdullah, abigail, adam, adele, adrian, adriana, agatha, agnes, agnieszka, ahmad, ahmed, aicha,
    aidan, aisha, akira, alan, albert, alberto, alejandra, alejandro, aleksander, alessandra, alessandro, alex,
    alexander, alexandra, alexandre, alexis, alfred, ali, alice, alicia, alina, alison, allison, alma, amanda, amara,
    amber, amelia, amelie, amina, amir, amit, amy, ana, anastasia, anders, andre, andrea, andreas, andrei, andrew,
    andrzej, andy, angela, angelica, angelina, angus, anil, anita, anja, anjali, ann, anna, anne, anneke, annette,
    annie, anthony, antoine, anton, antonia, antonio, anya, arjun, arne, arthur, arturo, asha, ashley, astrid, audrey,
    aurora, ava, aya, ayesha, barbara, barry, bartosz, beata, beatrice, beatriz, ben, benedict, benjamin, benny,
    bernard, bernardo, bernd, beth, bethany, betty, bianca, bjorn, björn, bob, bobby, bogdan, boris, brandon, brenda,
    brendan, brian, bridget, bruno, bryan, calvin, camila, camille, carina, carl, carla, carlo, carlos, carmen, carol,
    carolina, caroline, catarina, catherine, cecilia, chad, chandra, charlene, charles, charlie, charlotte, chen,
    chiara, chloe, chris, christian, christina, christine, christoph, christopher, cindy, claire, clara, claude,
    claudia, clémence, clement, colin, connor, constance, corinne, cristina, cynthia, damian, dan, dana, daniel,
    daniela, danielle, danny, daria, darius, dariusz, dave, david, deborah, debra, deepak, denis, dennis, derek,
    diana, diane, diego, dieter, dimitri, dinesh, dmitri, dmitry, dolores, dominic, dominik, dominique, donald, donna,
    dora, doris, dorothy, douglas, duncan, dylan, eddie, edgar, edith, eduardo, edward, edwin, eileen, elaine,
    eleanor, elena, eli, elias, elif, elijah, elisa, elisabeth, elizabeth, ella, ellen, ellie, eloise, elsa, emil,
    emilia, emilio, emily, emma, emmanuel, enrique, eric, erica, erik, erika, ernest, ernesto, esther, ethan, eugene,
    eva, evan, eve, evelyn, ewa, fabian, fabio, farah, fatima, federico, felicia, felipe, felix, fernanda, fernando,
    fiona, florence, florian, frances, francesca, francesco, francis, francisco, franco, francois, françois, frank,
    franz, fred, freddie, frederic, frederick, frederik, frida, friedrich, fritz, gabriel, gabriela, gabriele,
    gabrielle, gareth, gary, gavin, gemma, geoffrey, george, georgia, georgina, gerald, gerard, gerhard, giacomo,
    gianluca, gina, giorgio, giovanni, giulia, giuseppe, gloria, gordon, graham, greg, gregory, greta, gudrun, guido,
    guillaume, guillermo, gunnar, günter, gustav, gwen, hana, hanna, hannah, hans, harald, harold, harriet, harry,
    harvey, hassan, heather, hector, heidi, heinrich, helen, helena, helene, helga, helmut, henri, henrik, henry,
    herbert, hiroshi, holly, howard, hugo, humphrey, ian, ibrahim, ida, igor, ilaria, ilse, imran, ines, inês, inga,
    ingrid, irena, irene, irina, isaac, isabel, isabella, isabelle, ismail, ivan, ivana, jaan, jacek, jack, jackie,
    jackson, jacob, jacqueline, jacques, jaime, jake, jakob, jakub, james, jamie, jan, jana, jane, janet, janice,
    janina, jared, jasmine, jason, javier, jean, jeff, jeffrey, jennifer, jenny, jens, jeremy, jerry, jesse, jessica,
    jill, jim, jimmy, joan, joana, joanna, joanne, joão, joel, johan, johann, johanna, johannes, john, johnny, jon,
    jonas, jonathan, jordan, jorge, jörg, josé, jose, josef, joseph, josephine, josh, joshua, joyce, juan, juana,
    judith, judy, julia, julian, juliana, julie, juliet, julio, julius, jun, jürgen, justin, justyna, kai, karen,
    karim, karin, karl, karolina, katarina, katarzyna, kate, katerina, katharina, katherine, kathleen, kathy, katie,
    katja, katrin, katya, kazuo, keith, kelly, ken, kenji, kenneth, kenta, kevin, khalid, kim, kirsten, klara, klaus,
    kofi, konrad, kristen, kristin, kristina, krzysztof, kumar, kurt, kwame, kyle, laila, lara, lars, laura, lauren,
    laurent, lawrence, layla, lea, leah, leila, lena, leo, leon, leonard, leonardo, leonie, leopold, leslie, leticia,
    lewis, liam, lidia, lily, linda, linus, lisa, liz, lois, lola, lorenzo, lorraine, louis, louisa, louise, luca,
    lucas, lucia, lucie, lucy, ludwig, luis, luisa, luiz, lukas, luke, lydia, lynn, maciej, madeleine, madison, magda,
    magdalena, magnus, mahmoud, maja, malcolm, malgorzata, malik, manfred, manuel, manuela, marc, marcel, marcela,
    marcin, marco, marcos, marcus, marek, margaret, margarita, margot, maria, mariam, marianne, marie, marina, mario,
    marion, marius, marjorie, mark, marko, markus, marlene, marta, martha, martin, martina, marvin, mary, maryam,
    masha, mateo, mateusz, mathias, mathieu, mathilde, matilda, matt, matteo, matthew, matthias, maureen, maurice,
    mauricio, mauro, max, maximilian, maya, megan, mehmet, mei, melanie, melissa, mercedes, mia, michael, michaela,
    michał, michel, michele, michelle, miguel, mika, mike, mikhail, milan, mila, milena, milo, mina, miranda, miriam,
    mitchell, mohamed, mohammed, moira, molly, mona, monica, monika, morgan, moritz, moses, muhammad, mustafa, myriam,
    nadia, nadine, nancy, naomi, natalia, natalie, natasha, nathan, nathaniel, neil, nelson, nia, nicholas, nick,
    nicola, nicolas, nicole, niels, nigel, nikita, niklas, nikolai, nils, nina, noah, noel, noemi, nora, norbert,
    norma, norman, nuno, octavia, olaf, ole, oleg, olga, olive, oliver, olivia, olivier, omar, oscar, oskar, osman,
    otto, owen, pablo, paloma, pamela, paola, paolo, patricia, patrick, patrik, paul, paula, paulina, pauline, paulo,
    pavel, pawel, pedro, peggy, penelope, per, percy, peter, petra, phil, philip, philipp, philippe, phillip, phyllis,
    pierre, pietro, pilar, piotr, prakash, priya, rachel, radek, rafael, raffaella, rahul, rainer, raj, rajesh, ralf,
    ralph, ramon, raphael, raquel, rashid, raul, ravi, raymond, rebecca, regina, renata, renate, rene, renee, ricardo,
    riccardo, richard, rick, ricky, rita, robert, roberta, roberto, robin, rodrigo, roger, roland, rolf, roman, romeo,
    ron, ronald, ronnie, rosa, rosalind, rosanna, rosemary, ross, rowan, roy, ruben, rudolf, rui, rupert, russell,
    ruth, ryan, sabine, sabrina, sally, salma, sam, samantha, samir, samira, samuel, sana, sandra, sandro, sanjay,
    sara, sarah, sascha, sasha, scott, sean, sebastian, selma, serena, sergei, sergio, seth, shannon, sharon, sheila,
    shirley, sibylle, sigrid, silvia, simon, simona, simone, sofia, sofie, sonia, sonja, sophia, sophie, soren, søren,
    stacy, stanislav, stefan, stefania, stefano, steffen, stella, stephan, stephanie, stephen, steve, steven, stuart,
    sunita, susan, susana, susanna, susanne, suzanne, sven, svetlana, sylvia, sylvie, takeshi, tamara, tania, tanja,
    tanya, tara, tatiana, ted, teresa, terry, thea, theo, theodor, theodore, theresa, therese, thomas, tiago, tilda,
    tim, timo, timothy, tina, tobias, todd, tom, tomas, tomasz, tommy, tony, tracy, tristan, ulrich, ulrike, umberto,
    ursula, uwe, valentin, valentina, valerie, vanessa, vera, veronica, veronika, vicente, victor, victoria, viktor,
    viktoria, vincent, vincenzo, viola, violet, virginia, vito, vivian, vladimir, volker, walter, wanda, wang, wayne,
    wei, wendy, werner, wilhelm, william, willie, wolfgang, xavier, yann, yara, yasmin, yolanda, yoko, yuki, yuri,
    yusuf, yvonne, zara, zoe, zofia, zuzana
""")
# Given names that are common words as well: a person only where a surname or a word of context says so.
COMMON_NAMES = _words("""
    may, april, june, august, will, mark, grace, hope, faith, joy, rose, art, bill, rob, pat, sue, drew, chase, frank,
    jack, per, dan, harmony, melody, iris, daisy, ivy, jade, ruby, pearl, amber, autumn, summer, dawn, eve, robin,
    violet, olive, lily, heather, holly, max, viola, miles, reed, victor, norma, tara, sandy, ray, gene, dean, earl,
    carol, jean, alma, stella, mika, mercedes, milan, aurora, kim, chen, wang, roman, jun, sana, kai, ali
""")

# Capitalised at the start of a sentence, or by custom, and nobody's name.
NOT_NAMES = _words("""
    i, a, an, the, this, that, these, those, my, your, his, her, its, our, their, we, you, he, she, it, they, me, us,
    him, them, who, what, when, where, why, how, which, whose, and, or, but, so, if, then, else, because, although,
    though, while, since, until, unless, after, before, during, in, on, at, by, for, from, to, of, with, without,
    about, as, into, over, under, between, through, is, are, was, were, be, been, am, do, does, did, have, has, had,
    can, could, will, would, shall, should, may, might, must, not, no, yes, yeah, yep, nope, ok, okay, oh, ah, hmm,
    wow, well, hey, hi, hello, dear, thanks, thank, please, sorry, sure, great, good, nice, cool, awesome, congrats,
    congratulations, welcome, bye, today, tomorrow, yesterday, tonight, now, later, soon, once, always, never,
    sometimes, often, usually, also, just, only, even, still, already, again, maybe, perhaps, really, actually,
    however, therefore, moreover, finally, first, second, third, next, last, here, there, everyone, everybody,
    someone, somebody, anyone, nobody, everything, something, anything, nothing, all, some, any, each, every, both,
    either, neither, many, much, few, more, most, other, another, such, same, one, two, three, four, five, six, seven,
    eight, nine, ten, visit, join, contact, call, ask, tell, meet, write, read, watch, open, start, stop, turn, look,
    find, consider, head, walk, drive, explore, enjoy, avoid, send, email, buy, bring, learn, practise, practice,
    record, sing, let, lets, let's, make, try, use, add, see, go, get, take, give, keep, play, listen, check,
    remember, note, tip, example, step, question, answer, summary, god, internet, web, christmas, easter, halloween,
    thanksgiving, ramadan, hanukkah, diwali, new year, spring, summer, autumn, winter, fall, english, german, french,
    spanish, italian, portuguese, dutch, polish, russian, chinese, japanese, korean, arabic, hindi, turkish, greek,
    latin, hebrew, swedish, norwegian, danish, finnish, czech, hungarian, ukrainian, american, british, european,
    african, asian, canadian, australian, irish, scottish, indian, mexican, brazilian, austrian, swiss, belgian,
    jewish, christian music, muslim, buddhist, catholic, python, java, javascript, typescript, rust, django, react,
    html, css, sql, json, api, url, http, pdf, dm, tv, pc, ai, llm, cd, dvd, lp, ep, dj, mc, ps, fyi, btw, lol, omg,
    asap, diy, faq, mom, mum, dad, grandma, grandpa, mama, papa, siri, alexa, team, folks, guys, assistant, user,
    monday, tuesday, wednesday, thursday, friday, saturday, sunday, january, february, march, april, june, july,
    august, september, october, november, december
""")

INSTRUMENTS = _words("""
    accordion, acoustic guitar, alto saxophone, bagpipes, bandoneon, banjo, baritone saxophone, bass, bass clarinet,
    bass drum, bass guitar, bassoon, bodhrán, bongos, bouzouki, cajon, cajón, celesta, cello, clarinet, clavichord,
    concertina, conga, cornet, cymbal, didgeridoo, djembe, double bass, drum, drum machine, drums, dulcimer, electric
    bass, electric guitar, electric piano, english horn, erhu, euphonium, fiddle, flugelhorn, flute, fortepiano,
    french horn, glockenspiel, grand piano, guitar, guzheng, hammond organ, handpan, harmonica, harmonium, harp,
    harpsichord, hurdy-gurdy, kalimba, keyboard, koto, lute, lyre, mandolin, marimba, melodica, mellotron, oboe,
    ocarina, organ, oud, pan flute, pedal steel, percussion, piano, piccolo, pipa, recorder, sarod, saxophone,
    shakuhachi, shamisen, sitar, snare drum, soprano saxophone, sousaphone, steel guitar, synth, synthesizer,
    synthesiser, tabla, tambourine, tenor saxophone, theremin, timpani, trombone, trumpet, tuba, ukulele, upright
    bass, vibraphone, viola, viola da gamba, violin, vocals, wurlitzer, xylophone, zither
""")
GENRES = _words("""
    afrobeat, ambient, baroque music, bebop, black metal, bluegrass, blues, bossa nova, breakbeat, britpop, chamber
    music, choral music, classical music, country music, dancehall, death metal, disco, drum and bass, dub, dubstep,
    electronica, electronic music, fado, flamenco, folk music, folk rock, free jazz, funk, fusion jazz, gospel, grime,
    grunge, heavy metal, hip hop, hip-hop, house music, idm, indie rock, indie folk, indie pop, jazz, k-pop, klezmer,
    latin jazz, lo-fi, lofi, metalcore, minimal techno, motown, new wave, opera, pop music, post-punk, post-rock, prog
    rock, progressive rock, psychedelic rock, punk rock, r&b, ragtime, rap, reggae, reggaeton, rock music, rockabilly,
    salsa music, samba, shoegaze, ska, soul music, surf rock, swing music, synthpop, synthwave, tango, techno, thrash
    metal, trance music, trap music, trip hop, trip-hop, vaporwave, world music
""")
ROLES = _words("""
    accompanist, arranger, audio engineer, backing vocalist, bandleader, bassist, bass player, beatmaker, cellist,
    choirmaster, clarinettist, clarinetist, composer, concertmaster, conductor, drummer, fiddler, flautist, flutist,
    guitarist, guitar player, harpist, keyboardist, lead singer, luthier, mastering engineer, mixing engineer,
    musician, oboist, organist, percussionist, pianist, rapper, record producer, recording engineer, saxophonist,
    singer, singer-songwriter, songwriter, sound designer, sound engineer, trombonist, trumpeter, violinist, violist,
    vocalist
""")
# As their makers write them.
GEAR = {
    name.casefold(): name
    for name in (
        *("Ableton", "Ableton Live", "Ableton Push", "Akai MPC", "Ardour", "Audacity", "AutoTune", "Auto-Tune"),
        *("Bitwig", "Bitwig Studio", "Cakewalk", "Cubase", "Digitakt", "Digitone", "Dorico", "FL Studio", "Finale"),
        *("Fender", "Fender Jazz Bass", "Fender Precision Bass", "Fender Rhodes", "Fender Stratocaster"),
        *("Fender Telecaster", "Focusrite", "GarageBand", "Gibson", "Gibson Les Paul", "Gibson SG", "Guitar Pro"),
        *("Ibanez", "Juno-106", "Korg", "Korg M1", "Kontakt", "LilyPond", "Les Paul", "Logic Pro", "Logic Pro X"),
        *("Max/MSP", "Marshall", "MIDI", "Minimoog", "Moog", "MuseScore", "Neumann U87", "Nord Stage", "Novation"),
        *("OP-1", "Prophet-5", "Pro Tools", "Pure Data", "Reaper", "Rhodes", "Rickenbacker", "Roland", "Roland TR-808"),
        *("SM57", "SM58", "Shure SM57", "Shure SM58", "Shure SM7B", "Sibelius", "Steinway", "Stratocaster"),
        *("SuperCollider", "TB-303", "TR-808", "TR-909", "Telecaster", "Yamaha", "Yamaha DX7"),
    )
}
# Music only in the company of other music, or after `play`.
DOUBTFUL_MUSIC = _words("""
    bass, organ, recorder, drum, drums, keyboard, harp, opera, trap music, rap, soul music, conductor, ambient, disco,
    conga, lyre, musician, composer, singer, vocals, percussion
""")
