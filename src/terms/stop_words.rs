//! Words that say nothing of what an item is about.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::Language;

/// The function words of one language.
struct FunctionWords {
    language: Language,
    /// Left out of every text: titles of other languages stand in any catalogue.
    everywhere: &'static str,
    /// Left out only where the language is the catalogue's own, because in English (or another of
    /// these languages) the word carries meaning: German `war`, French `car`, Spanish `son`.
    at_home: &'static str,
}

const FUNCTION_WORDS: [FunctionWords; 8] = [
    FunctionWords {
        language: Language::English,
        everywhere: "a about above across after again against all almost along already also although \
            always am among an and another any anyone anything are aren't around as at away be became \
            because become becomes been before being below between both but by can can't cannot could \
            couldn't did didn't do does doesn't doing don't done down during each either else enough \
            etc even ever every everyone everything few for from further get gets getting give given \
            gives go goes going got had hadn't has hasn't have haven't having he he'd he'll he's hence \
            her here here's hers herself him himself his how how's however i i'd i'll i'm i've if in \
            including indeed instead into is isn't it it'll it's its itself just know known let let's \
            like likely made make makes making many may maybe me might mine more most mostly much must \
            mustn't my myself need neither never no none nor not nothing now of off often on once one \
            only onto or other others otherwise ought our ours ourselves out over own per perhaps put \
            quite rather really same say says see seem seems several shall shan't she she'd she'll \
            she's should shouldn't since so some someone something sometimes soon still such take taken \
            takes than that that's the their theirs them themselves then there there's therefore these \
            they they'd they'll they're they've thing things this those though through throughout thus \
            to together too toward towards two under unless until up upon us use used uses using very \
            via want was wasn't way we we'd we'll we're we've well went were weren't what what's \
            whatever when when's where where's whether which while who who's whoever whole whom whose \
            why why's will with within without won't would wouldn't yes yet you you'd you'll you're \
            you've your yours yourself yourselves",
        at_home: "",
    },
    FunctionWords {
        language: Language::German,
        everywhere: "aber alle als auch auf aus bei beim bis bist da dann das dass daß dein dem den denn \
            der des dich dir doch du durch ein eine einem einen einer eines er es euch für gegen habe \
            haben ich ihm ihn ihnen ihr ihre im ist ja jede jeder kann kein keine mein meine mich mir \
            mit nach nicht noch nur ob oder ohne sehr sein seine sich sie sind über um und uns unser \
            unter vom von vor wenn werden wie wieder wir wird wo zu zum zur zwischen",
        at_home: "am an bin die hab hat hatte in man so war was will",
    },
    FunctionWords {
        language: Language::French,
        everywhere: "au aux avec ce ces cette comme dans de des du elle elles en est et eux ici il ils je \
            la le les leur leurs lui ma mais mes moi mon même ne nos notre nous ont ou où par pas plus \
            pour qu que quel quelle qui quoi sa sans se ses si sont sous sur ta te tes toi tous \
            tout très tu un une vers vos votre vous été être c'est n'est qu'il qu'elle d'un d'une",
        at_home: "ai as car fait fut me on son ton y à",
    },
    FunctionWords {
        language: Language::Spanish,
        everywhere: "al algo ante antes aquí como con contra cual cuando de del desde donde durante el \
            ella ellas ellos en entre era es esa ese eso esta está estas este esto estos fue ha hasta \
            hay la las le les lo los mas más mi mis muy ni nos nosotros o otra otro para pero por \
            porque que qué quien se según ser si sí sobre su sus también tan te tiene todo todos tu \
            tus un una uno unos y ya yo",
        at_home: "han has he me no sea sin son",
    },
    FunctionWords {
        language: Language::Portuguese,
        everywhere: "ao aos aquela aquele até com como da das de depois do dos e ela elas ele eles em \
            entre era essa esse esta este eu foi isso isto já lhe mais mas meu minha muito na nas nem \
            no nos nós nossa nosso não o os ou para pela pelas pelo pelos por quando que quem se sem \
            ser seu seus sua suas são só também te tem um uma você à às é",
        at_home: "a as me num",
    },
    FunctionWords {
        language: Language::Italian,
        everywhere: "agli ai al alla alle allo anche che chi ci coi col con cui da dagli dai dal dalla \
            dalle degli dei del della delle dello di e è ed era gli ha hanno ho il io la le lei li lo \
            loro lui ma mia mie mio nei nel nella nelle noi non o per perché più quella quello questa \
            questo se sei si sono su sua sue sui sul sulla suo tra tu tutti tutto un una uno vi voi",
        at_home: "come dove fra in mi ne quando",
    },
    FunctionWords {
        language: Language::Dutch,
        everywhere: "aan al als bij dan dat de deze dit doen een en er ge geen haar heb hebben heeft het \
            hij hoe hun ik is ja je kan maar meer men met mij mijn naar niet nog nu om omdat onder ons \
            ook op over reeds te tegen toch toen tot uit uw van veel voor waren wat wel werd wij wordt \
            ze zich zij zijn zo zonder zou",
        at_home: "ben die door hem had hier in me of u want was wie wil worden",
    },
    FunctionWords {
        language: Language::Russian,
        everywhere: "а без бы был была были было быть в вам вас во вот все всё вы где да для до его ее \
            её если есть еще ещё же за и из или им их к как ко когда кто ли мне мой моя мы на над нас \
            не него нет ни них но ну о об он она они оно от по под при про с себя со так там то того \
            только тот ты у уже очень который которая которое которые которых другой другие другого можно нужно почему чем что чтобы это этот эта эти я",
        at_home: "",
    },
];

/// English words that fill descriptions of anything: manner, degree and time, and the verbs of
/// introductions and advertisements. They meet in items that have nothing else in common.
const FILLERS: &str = "able actually additionally allow allowed allowing allows apparently approximately \
    automatically available based basically begin begins bring brings called come \
    comes completely contain containing contains create created creates creating currently \
    designed different directly done easily easy effectively efficiently enable enables enabling \
    entirely especially essentially eventually example exactly extremely featured features featuring \
    finally find finds follow following follows found fully generally greatly highly help \
    helps inspired initially introducing involving keep later latest mainly \
    near nearly newly offer offering offers often originally particularly \
    possible previously primarily provide provided provides providing quickly recently receive \
    received receives regularly related require required requires seamlessly simply \
    slightly sought specifically subsequently successfully \
    supported supports trying try tries ultimately usually various widely";

/// Remains of markup that got lost on the way, and counts and titles in words.
const REMAINS: &str = "amp br href http https lt gt nbsp quot www three four five six seven eight nine ten ii iii \
    iv vii viii ix xii xiii dr jr mr mrs ms sr vs ain't";

/// English words that say little alone and much in a phrase: "new" and "New York", "set" and "set
/// theory". They are counted, but are no terms on their own.
const PHRASE_ONLY: &str = "assorted basic best better big different first free full good great high large last \
    left little long low multiple new next nice old pack real right set simple small start starting \
    top work working";

/// The stop words of a catalogue whose own language is `language`.
pub(crate) fn stop_words(language: Language) -> HashSet<&'static str> {
    let mut words: HashSet<&'static str> = REMAINS
        .split_whitespace()
        .chain(FILLERS.split_whitespace())
        .collect();
    for list in &FUNCTION_WORDS {
        words.extend(list.everywhere.split_whitespace());
        if list.language == language {
            words.extend(list.at_home.split_whitespace());
        }
    }
    words
}

/// The words that are terms only as a part of a phrase.
pub(crate) fn phrase_only() -> &'static HashSet<&'static str> {
    static WORDS: LazyLock<HashSet<&str>> =
        LazyLock::new(|| PHRASE_ONLY.split_whitespace().collect());
    &WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_words_of_every_language_are_left_out_of_an_english_catalogue() {
        let english = stop_words(Language::English);
        for word in ["the", "und", "pour", "para", "não", "della", "het", "чтобы"] {
            assert!(english.contains(word), "{word}");
        }
    }

    #[test]
    fn words_that_carry_meaning_in_english_are_stop_words_only_at_home() {
        let english = stop_words(Language::English);
        for (word, home) in [
            ("war", Language::German),
            ("car", Language::French),
            ("sin", Language::Spanish),
            ("door", Language::Dutch),
        ] {
            assert!(!english.contains(word), "{word}");
            assert!(stop_words(home).contains(word), "{word}");
        }
    }

    #[test]
    fn every_stop_word_is_in_the_lower_case_that_it_is_looked_up_in() {
        for language in FUNCTION_WORDS.map(|list| list.language) {
            for word in stop_words(language) {
                assert_eq!(word, word.to_lowercase());
            }
        }
    }
}
