with members as (
    select m.snapshot_kind as grain, m.snapshot_date as as_of_date, m.currency, d.dimension,
        cast(case when d.dimension = 'borrower' then m.borrower_hk else m.product_code end as varchar(64)) as member,
        sum(m.exposure_amount) as amount
    from {{ ref('fact_loan_month') }} as m
    cross join (values ('borrower'), ('product')) as d(dimension)
    where m.status = 'open'
    group by m.snapshot_kind, m.snapshot_date, m.currency, d.dimension, case when d.dimension = 'borrower' then m.borrower_hk else m.product_code end
),

ranked as (
    select
        m.*,
        row_number() over (partition by m.grain, m.as_of_date, m.currency, m.dimension order by m.amount desc, m.member) as place
    from members as m
),

summed as (
    select
        r.grain, r.as_of_date, r.currency, r.dimension,
        count(*) as members,
        sum(r.amount) as total,
        sum(cast(r.amount as float) * cast(r.amount as float)) as squares,
        sum(case when r.place <= 10 then r.amount else 0 end) as ten_largest
    from ranked as r
    group by r.grain, r.as_of_date, r.currency, r.dimension
)

select
    s.grain,
    s.as_of_date,
    s.currency,
    cast(s.dimension as varchar(16)) as dimension,
    cast(k.kpi as varchar(40)) as kpi,
    cast(s.members as bigint) as members,
    cast(case when k.kpi = 'hhi' then 10000 * s.squares else s.ten_largest end as numeric(28, 4)) as numerator,
    cast(case when k.kpi = 'hhi' then cast(s.total as float) * cast(s.total as float) else s.total end as numeric(28, 4)) as denominator,
    {{ ratio("case when k.kpi = 'hhi' then 10000 * s.squares else s.ten_largest end", "case when k.kpi = 'hhi' then cast(s.total as float) * cast(s.total as float) else s.total end") }} as value
from summed as s
cross join (values ('hhi'), ('ten_largest_share')) as k(kpi)
