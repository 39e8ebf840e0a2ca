/** What the random users are put together from: six countries with their own names, streets, towns and phones. */
export interface Country {
  readonly country: string;
  readonly femaleNames: readonly string[];
  readonly maleNames: readonly string[];
  readonly lastNames: readonly string[];
  readonly streets: readonly string[];
  /** Town, region, first post code of the town. */
  readonly towns: readonly (readonly [town: string, region: string, postCode: number])[];
  readonly phonePrefix: string;
}

export const countries: readonly Country[] = [
  {
    country: 'France',
    femaleNames: ['Éloïse', 'Chloé', 'Inès', 'Maëlys', 'Zoé', 'Aurélie', 'Noémie', 'Léa'],
    maleNames: ['André', 'François', 'Théo', 'Loïc', 'Jérôme', 'Gaël', 'Noël', 'Hugo'],
    lastNames: ['Lefèvre', 'Gauthier', 'Bézier', 'Rivière', "d'Aubigné", 'Garçon', 'Moreau', 'Nuñez-Laurent'],
    streets: ["Rue de l'Église", 'Avenue du Château', 'Place des Célestins', 'Quai Saint-Père', 'Rue Bossuet'],
    towns: [
      ['Besançon', 'Doubs', 25000],
      ['Nîmes', 'Gard', 30000],
      ['Saint-Étienne', 'Loire', 42000],
      ['Orléans', 'Loiret', 45000],
    ],
    phonePrefix: '+33 6',
  },
  {
    country: 'Deutschland',
    femaleNames: ['Jördis', 'Käthe', 'Änne', 'Lena', 'Zoë', 'Frieda', 'Hanna', 'Marlene'],
    maleNames: ['Jürgen', 'Götz', 'Björn', 'Lukas', 'Sören', 'Günther', 'Moritz', 'Anton'],
    lastNames: ['Müller', 'Schröder', 'Weiß', 'Großmann', 'Jäger', 'Köhler', 'Vogel', 'von der Höhe'],
    streets: ['Goethestraße', 'Mühlenweg', 'Königsallee', 'Bahnhofstraße', 'Am Schloßgarten'],
    towns: [
      ['Würzburg', 'Bayern', 97070],
      ['Lübeck', 'Schleswig-Holstein', 23552],
      ['Göttingen', 'Niedersachsen', 37073],
      ['Halle (Saale)', 'Sachsen-Anhalt', 6108],
    ],
    phonePrefix: '+49 151',
  },
  {
    country: 'Türkiye',
    femaleNames: ['Şebnem', 'Çiğdem', 'Gülşah', 'İpek', 'Özlem', 'Elif', 'Zeynep', 'Ayşe'],
    maleNames: ['Çağlar', 'İbrahim', 'Oğuz', 'Ümit', 'Şahin', 'Mert', 'Emre', 'Özgür'],
    lastNames: ['Yıldız', 'Öztürk', 'Şimşek', 'Güneş', 'Çelik', 'Kılıç', 'Aydın', 'Doğan'],
    streets: ['Atatürk Caddesi', 'Gül Sokağı', 'İstiklal Caddesi', 'Çınar Sokak', 'Barış Bulvarı'],
    towns: [
      ['Eskişehir', 'Eskişehir', 26010],
      ['İzmir', 'İzmir', 35210],
      ['Muğla', 'Muğla', 48000],
      ['Çanakkale', 'Çanakkale', 17100],
    ],
    phonePrefix: '+90 532',
  },
  {
    country: 'Norge',
    femaleNames: ['Åse', 'Bjørg', 'Ingrid', 'Solveig', 'Tuva', 'Maren', 'Frøydis', 'Nora'],
    maleNames: ['Øyvind', 'Håkon', 'Bjørn', 'Sindre', 'Lars', 'Torbjørn', 'Åsmund', 'Jonas'],
    lastNames: ['Sørensen', 'Bråten', 'Ødegård', 'Lie', 'Bakke', 'Mæland', 'Nygård', 'Strøm'],
    streets: ['Storgata', 'Kirkeveien', 'Øvre Fjellvei', 'Sjøgata', 'Åsveien'],
    towns: [
      ['Tromsø', 'Troms', 9008],
      ['Ålesund', 'Møre og Romsdal', 6002],
      ['Bodø', 'Nordland', 8006],
      ['Hønefoss', 'Buskerud', 3510],
    ],
    phonePrefix: '+47 4',
  },
  {
    country: 'United Kingdom',
    femaleNames: ['Siân', 'Saoirse', 'Amelia', 'Imogen', 'Zara', 'Harriet', 'Niamh', 'Eilidh'],
    maleNames: ['Oisín', 'Rhys', 'Alfie', 'Callum', 'Seán', 'George', 'Rory', 'Hamish'],
    lastNames: ["O'Connor", 'MacLeod', 'Featherstonehaugh', 'Hughes', 'Brontë', 'Walker', 'Ashworth', 'Patel'],
    streets: ['Acacia Avenue', 'Station Road', 'Church Lane', 'Victoria Terrace', 'Mill Street'],
    towns: [
      ['Stoke-on-Trent', 'Staffordshire', 51101],
      ['Caernarfon', 'Gwynedd', 54110],
      ['Stirling', 'Stirlingshire', 78250],
      ['Bury St Edmunds', 'Suffolk', 33100],
    ],
    phonePrefix: '+44 7700',
  },
  {
    country: '日本',
    femaleNames: ['陽菜', '結衣', 'さくら', '美咲', '葵', '凛', '楓', '真央'],
    maleNames: ['蓮', '陽翔', '大輝', '健太', '悠真', '翔', '湊', '拓海'],
    lastNames: ['佐藤', '鈴木', '髙橋', '田中', '渡邊', '伊藤', '小林', '齋藤'],
    streets: ['中央通り', '桜木町', '緑が丘', '本町', '旭通り'],
    towns: [
      ['金沢市', '石川県', 9200000],
      ['長崎市', '長崎県', 8500000],
      ['仙台市', '宮城県', 9800000],
      ['松山市', '愛媛県', 7900000],
    ],
    phonePrefix: '+81 90',
  },
];

export const mailHosts: readonly string[] = ['example.com', 'example.net', 'example.org', 'mail.example.com'];
